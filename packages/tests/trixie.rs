//! The solver's answers beside those of real apt, over a real archive: the one this machine's apt is set up with. Skipped,
//! and it says so, where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use jiff::Timestamp;
use liblzma::read::XzDecoder;
use packages::answer::Answer;
use packages::deb::control::Deb;
use packages::deb::{BaseRule, Release, Universe, resolve};
use packages::openpgp::Keyring;
use packages::solve::{PackageId, Universe as _, Unsatisfiable};

const NAMES: &str = include_str!("trixie/packages.txt");
const DIFFERENCES: &str = include_str!("trixie/differences.txt");
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

type Set = BTreeSet<(String, String)>;

/// Of so many sets one is installed; `1` in this variable installs them all, which takes an hour and gigabytes.
const INSTALLED_EVERY: usize = 40;
const INSTALLED_EVERY_KEY: &str = "KUBEXM_TRIXIE_INSTALL_EVERY";

struct Archive {
    dir: PathBuf,
    mirror: String,
    universe: Universe,
    base: BTreeSet<PackageId>,
}

/// Of so many sets one is compared in every run of the tests; all of them take ten minutes.
const COMPARED_EVERY: usize = 10;

#[test]
fn answers_are_those_of_apt() {
    let Some(archive) = Archive::fetch() else {
        eprintln!("skipped: this machine's apt reaches no archive with trixie");
        return;
    };
    let names: Vec<&str> = NAMES.lines().step_by(COMPARED_EVERY).collect();
    compare(&archive, &names);
}

#[test]
#[ignore = "takes long: make test-long"]
fn all_answers_are_those_of_apt_and_can_be_installed() {
    let archive = Archive::fetch().expect("this machine's apt reaches an archive with trixie");
    let names: Vec<&str> = NAMES.lines().collect();
    let answers = compare(&archive, &names);
    archive.install_some(&names, &answers);
}

/// Our answers, each of them apt's but for the explained ones.
fn compare(archive: &Archive, names: &[&str]) -> Vec<Result<Answer, Unsatisfiable>> {
    let apt = Apt::over(archive);
    let explained: BTreeMap<&str, &str> = DIFFERENCES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("package: reason"))
        .collect();
    let start = Instant::now();
    let answers: Vec<_> = names.iter().map(|name| archive.answer(name)).collect();
    eprintln!(
        "{} packages solved in {:?}, peak {}",
        names.len(),
        start.elapsed(),
        peak()
    );

    let theirs = apt.would_install_each(names);
    let mut wrong = Vec::new();
    for ((name, answer), theirs) in names.iter().zip(&answers).zip(theirs) {
        let ours = answer
            .as_ref()
            .ok()
            .map(|answer| archive.beyond_base(answer));
        match (ours == theirs, explained.get(name)) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(reason)) => {
                wrong.push(format!("{name}: no difference any more, and yet: {reason}"));
            }
            (false, None) => {
                let error = answer.as_ref().err().map(ToString::to_string);
                let difference = difference(ours.as_ref(), theirs.as_ref(), error);
                wrong.push(format!("{name}: {difference}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        names.len(),
        wrong.join("\n")
    );
    answers
}

fn difference(ours: Option<&Set>, theirs: Option<&Set>, error: Option<String>) -> String {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return format!(
            "ours {}, apt's {}; {}",
            ours.is_some(),
            theirs.is_some(),
            error.unwrap_or_default()
        );
    };
    let only = |one: &Set, other: &Set| {
        let names = one
            .difference(other)
            .map(|(name, version)| format!("{name} {version}"));
        names.collect::<Vec<_>>().join(", ")
    };
    format!(
        "only we: [{}]; only apt: [{}]",
        only(ours, theirs),
        only(theirs, ours)
    )
}

fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("not known").to_owned()
}

fn run(command: &mut Command) -> Option<Vec<u8>> {
    let output = command.output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn fetch(uri: &str, to: &Path) -> Option<Vec<u8>> {
    run(Command::new("/usr/lib/apt/apt-helper")
        .args(["-qq", "download-file", uri])
        .arg(to))?;
    fs::read(to).ok()
}

impl Archive {
    fn fetch() -> Option<Self> {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trixie");
        let dists = dir.join("archive/dists/trixie/main/binary-amd64");
        fs::create_dir_all(&dists).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/lab/apt.sh");
        let mirror = run(Command::new("bash").args([script, "mirror"]))?;
        let mirror = String::from_utf8(mirror)
            .unwrap()
            .trim()
            .trim_end_matches('/')
            .to_owned();
        let suite = format!("{mirror}/dists/trixie");
        let in_release = fetch(
            &format!("{suite}/InRelease"),
            &dir.join("archive/dists/trixie/InRelease"),
        )?;

        let start = Instant::now();
        let armored = run(Command::new("gpg").args(["--enarmor", "-o-", KEYRING]))?;
        let armored = String::from_utf8(armored)
            .unwrap()
            .replace("ARMORED FILE", "PUBLIC KEY BLOCK");
        let keyring = Keyring::from_armored([armored.as_str()]).unwrap();
        let text = keyring
            .verify_cleartext(&in_release, Timestamp::now())
            .unwrap();
        let release = Release::parse(&text).unwrap();
        release.fresh(Timestamp::now()).unwrap();
        eprintln!("InRelease verified in {:?}", start.elapsed());

        let index = release.index("main", "amd64").unwrap();
        let packages = dists.join("Packages.xz");
        fetch(&format!("{suite}/{}", index.path), &packages)?;
        let start = Instant::now();
        let mut universe = Universe::new("amd64");
        universe
            .read(&index, File::open(&packages).unwrap(), 0)
            .unwrap();
        eprintln!(
            "{} packages read in {:?}, peak {}",
            universe.len(),
            start.elapsed(),
            peak()
        );
        // What debootstrap calls minbase.
        let rule = BaseRule {
            priorities: vec!["required".to_owned()],
            names: vec!["apt".to_owned()],
        };
        let base = universe.base(&rule).unwrap();
        eprintln!("a base of {} packages, {:?}", base.len(), start.elapsed());
        Some(Self {
            dir,
            mirror,
            universe,
            base,
        })
    }

    /// Installs some of the sets for real, in a root that has the base and no source of packages.
    fn install_some(&self, names: &[&str], answers: &[Result<Answer, Unsatisfiable>]) {
        let root = self.dir.join("root");
        if !self.bootstrap(&root) {
            eprintln!("skipped: a bare root needs debootstrap, and root's rights");
            return;
        }
        let every = env::var(INSTALLED_EVERY_KEY).map_or(INSTALLED_EVERY, |n| n.parse().unwrap());
        let debs = self.dir.join("debs");
        fs::create_dir_all(&debs).unwrap();
        for (name, answer) in names.iter().zip(answers).step_by(every) {
            let Ok(answer) = answer else { continue };
            let start = Instant::now();
            let mut script = Command::new(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/trixie/install.sh"
            ));
            script.arg(&root).arg(&debs);
            for package in &answer.packages {
                let file = package.path.rsplit('/').next().unwrap();
                let to = debs.join(file);
                if !to.exists() {
                    let uri = format!("{}/{}", self.mirror, package.path);
                    fetch(&uri, &to).expect("what the index lists can be fetched");
                }
                let deb = Deb::read(File::open(&to).unwrap()).unwrap();
                assert_eq!(deb.checksum.sha256, package.sha256, "{file}");
                script.arg(file);
            }
            let output = script.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {said}");
            let count = answer.packages.len();
            eprintln!(
                "{name}: {count} packages installed in {:?}",
                start.elapsed()
            );
        }
    }

    /// A root that is there is whole: it gets its name last.
    fn bootstrap(&self, root: &Path) -> bool {
        if root.exists() {
            return true;
        }
        let making = root.with_extension("part");
        let _ = fs::remove_dir_all(&making);
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.arg("--variant=minbase").arg("trixie");
        debootstrap.arg(&making).arg(&self.mirror);
        run(&mut debootstrap).is_some() && fs::rename(&making, root).is_ok()
    }

    /// What travels of the base, for hosts that have it in another version, is no news to apt.
    fn beyond_base(&self, answer: &Answer) -> Set {
        let base: BTreeSet<String> = self
            .base
            .iter()
            .map(|id| self.universe.label(*id))
            .collect();
        let packages = answer.packages.iter();
        let packages =
            packages.filter(|one| !base.contains(&format!("{} {}", one.name, one.version)));
        packages
            .map(|one| (one.name.clone(), one.version.clone()))
            .collect()
    }

    fn answer(&self, name: &str) -> Result<Answer, Unsatisfiable> {
        let wish = self.universe.wish(name, "the test").unwrap();
        resolve(&self.universe, &self.base, &[wish])
    }
}

/// Real apt, over the same index, on a system that has the base.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn over(archive: &Archive) -> Self {
        let dir = archive.dir.join("apt");
        let _ = fs::remove_dir_all(&dir);
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let source = format!(
            "deb [arch=amd64 trusted=yes] file:{} trixie main\n",
            archive.dir.join("archive").display()
        );
        fs::write(dir.join("sources.list"), source).unwrap();
        let labels: BTreeSet<String> = archive
            .base
            .iter()
            .map(|id| archive.universe.label(*id))
            .collect();
        let packages = archive
            .dir
            .join("archive/dists/trixie/main/binary-amd64/Packages.xz");
        let text = BufReader::new(XzDecoder::new_multi_decoder(File::open(packages).unwrap()));
        let mut status = File::create(dir.join("status")).unwrap();
        for paragraph in deb822_fast::Deb822::iter_paragraphs_from_reader(text) {
            let paragraph = paragraph.unwrap();
            let label = format!(
                "{} {}",
                paragraph.get("Package").unwrap(),
                paragraph.get("Version").unwrap()
            );
            if labels.contains(&label) {
                writeln!(
                    status,
                    "Status: install ok installed\n{}\n",
                    paragraph.to_string().trim_end()
                )
                .unwrap();
            }
        }
        let apt = Self { dir };
        let update = apt.command().args(["update", "-qq"]).output().unwrap();
        assert!(
            update.status.success(),
            "{}",
            String::from_utf8_lossy(&update.stderr)
        );
        apt
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let at = |name: &str| self.dir.join(name).display().to_string();
        for (key, value) in [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "-".to_owned()),
            ("Dir::Etc::Preferences", "/dev/null".to_owned()),
            ("Dir::Etc::PreferencesParts", "-".to_owned()),
            ("Dir::State", at("")),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("cache")),
            ("Dir::Cache::pkgcache", "pkgcache.bin".to_owned()),
            ("APT::Architecture", "amd64".to_owned()),
            ("APT::Architectures", "amd64".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Debug::NoLocking", "1".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            (
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled",
                "false".to_owned(),
            ),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        command
    }

    /// Several at a time: each reads the whole archive's cache.
    fn would_install_each(&self, names: &[&str]) -> Vec<Option<Set>> {
        let share = names.len().div_ceil(4);
        std::thread::scope(|scope| {
            let workers: Vec<_> = names
                .chunks(share)
                .map(|names| {
                    let each = names.iter().map(|name| self.would_install(name));
                    scope.spawn(move || each.collect::<Vec<_>>())
                })
                .collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap())
                .collect()
        })
    }

    fn would_install(&self, name: &str) -> Option<Set> {
        let said = run(self
            .command()
            .args(["-s", "install", "--no-install-recommends", name]))?;
        let said = String::from_utf8(said).unwrap();
        let inst = said.lines().filter_map(|line| line.strip_prefix("Inst "));
        Some(
            inst.map(|line| {
                let (name, rest) = line.split_once(' ').unwrap();
                let version = rest.split('(').nth(1).unwrap().split(' ').next().unwrap();
                (name.to_owned(), version.to_owned())
            })
            .collect(),
        )
    }
}
