//! Packages of a host's own system: what is asked, sent and told. What apt and dnf make of the scripts is
//! for `package_managers`.

use std::fs;
use std::sync::Arc;

use artifact::{BasePackage, PackageSet};
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, Slot, State, Step, StepError};
use event::Progress;
use host::Facts;
use host::fake::{FakeHost, facts};
use step::{
    Bringer, InstallPackages, LocalPackage, Program, ProgramFeature, RemovePackages,
    RepositoryFile, Requirements, Survey, SurveyHost, SystemPackages,
};
use tempfile::TempDir;

/// A repository with `conntrack`, which requires `libmnl0`, and `socat`; all three rely on a libc.
struct Repository {
    dir: TempDir,
}

const NAMES: [&str; 3] = ["conntrack", "libmnl0", "socat"];

impl Repository {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in NAMES {
            fs::write(dir.path().join(format!("{name}.deb")), name).unwrap();
        }
        fs::write(dir.path().join("Packages"), "Package: conntrack\n").unwrap();
        Self { dir }
    }

    fn file(&self, path: &str) -> RepositoryFile {
        let local = Utf8Path::from_path(self.dir.path()).unwrap().join(path);
        let size = fs::metadata(&local).unwrap().len();
        RepositoryFile {
            local,
            path: path.into(),
            size,
        }
    }

    fn system(&self, os: &str, format: &str) -> SystemPackages {
        let set: PackageSet = serde_json::from_value(serde_json::json!({
            "os": os, "arch": "amd64", "format": format,
            "names": {}, "packages": [], "base": [],
        }))
        .unwrap();
        let package = |name: &&str| LocalPackage {
            name: (*name).to_owned(),
            version: "1.4-2".to_owned(),
            file: self.file(&format!("{name}.deb")),
        };
        SystemPackages {
            set: Arc::new(set),
            packages: NAMES.iter().map(package).collect(),
            index: vec![self.file("Packages")],
            base: vec![
                BasePackage {
                    name: "libc6".to_owned(),
                    at_least: Some("2.38".to_owned()),
                },
                BasePackage {
                    name: "passwd".to_owned(),
                    at_least: None,
                },
            ],
        }
    }

    fn install(&self) -> InstallPackages {
        InstallPackages {
            by_system: vec![
                self.system("debian-12", "deb"),
                self.system("rocky-9", "rpm"),
            ],
            replaceable: &["systemd-timesyncd"],
            patience: InstallPackages::PATIENCE,
        }
    }
}

fn debian() -> Facts {
    Facts {
        os: "debian".into(),
        os_version: "12".into(),
        os_name: "Debian GNU/Linux 12 (bookworm)".into(),
        ..facts("node1")
    }
}

fn on(host: FakeHost) -> (Arc<FakeHost>, Cx) {
    let host = Arc::new(host);
    let progress = Progress::unseen();
    let cx = Cx::new(host.clone(), progress);
    (host, cx)
}

/// A host on which these are wrong.
fn lacking(unusable: &str) -> FakeHost {
    FakeHost::new("node1")
        .with_facts(debian())
        .on("look", 0, unusable)
}

/// The commands without the length of the scripts they are given.
fn transcript(host: &FakeHost) -> String {
    let text = host.transcript();
    let lines = text.lines().map(|line| match line.split_once(" < ") {
        Some((command, _)) => command.to_owned(),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn told(error: &StepError) -> String {
    format!("{error}\nhint: {}", error.hint().unwrap_or("none"))
}

async fn reason(unusable: &str) -> String {
    let (_, cx) = on(lacking(unusable));
    match Repository::new().install().check(&cx).await.unwrap() {
        State::Satisfied => "satisfied".to_owned(),
        State::Needed(why) => why,
    }
}

#[tokio::test]
async fn one_question_tells_what_is_missing() {
    assert_eq!(reason("").await, "satisfied");
    assert_eq!(reason("older conntrack 1.4-1\n").await, "satisfied");
    assert_eq!(reason("absent socat\n").await, "socat is not installed");
    assert_eq!(
        reason("absent libmnl0\nabsent socat\n").await,
        "libmnl0 and 1 more are not installed"
    );
    assert_eq!(
        reason("interrupted\n").await,
        "an installation was cut short"
    );
    let (host, cx) = on(lacking(""));
    Repository::new().install().check(&cx).await.unwrap();
    insta::assert_snapshot!(transcript(&host));
}

#[tokio::test]
async fn only_what_is_missing_is_sent_and_installed() {
    let repository = Repository::new();
    let (host, cx) = on(lacking(
        "absent libmnl0\nabsent socat\nolder conntrack 1.4-1\n",
    ));
    repository.install().apply(&cx).await.unwrap();
    let transcript = transcript(&host).replace(repository.dir.path().to_str().unwrap(), "TREE");
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn what_apt_says_is_told() {
    let host = lacking("absent socat\n").on(
        "-- install ",
        1,
        "dpkg: error processing archive socat.deb\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
    );
    let (_, cx) = on(host);
    let error = Repository::new().install().apply(&cx).await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r"
    cannot install packages: dpkg: error processing archive socat.deb
    E: Sub-process /usr/bin/dpkg returned an error code (1)
    hint: apt has said why; more is on the host, in /var/log/apt/term.log
    ");
    assert!(!error.may_pass());
}

#[tokio::test]
async fn whoever_is_at_work_with_packages_is_waited_for() {
    let host = lacking("absent socat\n").on(
        "-- install ",
        75,
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)",
    );
    let (_, cx) = on(host);
    let error = Repository::new().install().apply(&cx).await.unwrap_err();
    assert!(error.may_pass());
    insta::assert_snapshot!(told(&error), @r"
    cannot install packages: somebody else is at work with packages here
    E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)
    hint: wait for it to end, e.g. unattended-upgrades, and run again
    ");
}

#[tokio::test]
async fn what_came_is_removed_and_nothing_else() {
    let step = Repository::new().install().counterpart(Data::Keep).unwrap();
    assert_eq!(step.id(), RemovePackages.id());
    let (_, bare) = on(FakeHost::new("node1"));
    assert_eq!(step.check(&bare).await.unwrap(), State::Satisfied);
    let format: Utf8PathBuf = "/var/lib/kubexm/before/packages/format".into();
    let host = FakeHost::new("node1")
        .with_file(format.as_str(), "deb\n", 0o644)
        .on("pending", 0, "socat\nlibmnl0\n");
    let (host, cx) = on(host);
    let reason = step.check(&cx).await.unwrap();
    assert_eq!(reason, State::needed("kubexm installed 2 packages"));
    step.apply(&cx).await.unwrap();
    insta::assert_snapshot!(transcript(&host), @r"
    # sh -s -- pending
    # sh -s -- remove
    ");
}

fn requirements(packages: Vec<SystemPackages>) -> Requirements {
    let program = |name, package, bringer| Program {
        name,
        package,
        bringer,
    };
    Requirements {
        machine: "x86_64".into(),
        systems: vec![
            step::System {
                id: "debian",
                since: (11, 0),
            },
            step::System {
                id: "ubuntu",
                since: (20, 0),
            },
        ],
        programs: vec![
            program("conntrack", "conntrack", Bringer::Bundle),
            program("socat", "socat", Bringer::Bundle),
            program("systemctl", "systemd", Bringer::System),
        ],
        features: vec![ProgramFeature {
            program: "nginx",
            name: "stream module",
            test: "false",
            package: "libnginx-mod-stream",
        }],
        packages,
        timezone: Some("Europe/Atlantis".into()),
        ..Requirements::default()
    }
}

/// What a survey finds on a host without conntrack, socat and the time zone.
async fn findings(packages: Vec<SystemPackages>, facts: Facts, unusable: &str) -> String {
    let host = FakeHost::new("node1")
        .with_facts(facts)
        .on_command(|command, _| {
            let text = command.text();
            let lacks = [
                "program conntrack",
                "program socat",
                "feature stream module",
                "zone",
            ];
            let asked = lacks
                .into_iter()
                .filter(|lack| text.contains(&format!("echo {lack}")));
            let said = asked.collect::<Vec<_>>().join("\n");
            (!said.is_empty()).then(|| {
                Ok(host::Output {
                    status: 0,
                    stdout: said.into(),
                    stderr: Vec::new(),
                })
            })
        })
        .on("look", 0, unusable);
    let survey: Slot<Survey> = Slot::new("node1");
    let step = SurveyHost {
        without: None,
        requirements: requirements(packages),
        survey: survey.clone(),
    };
    let (_, cx) = on(host);
    step.check(&cx).await.unwrap();
    let findings = survey.get().unwrap().findings.iter();
    let lines: Vec<String> = findings
        .map(|finding| format!("{}\n    {}", finding.what, finding.fix))
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn without_packages_in_the_bundle_each_program_must_be_there() {
    insta::assert_snapshot!(findings(Vec::new(), debian(), "").await);
}

#[tokio::test]
async fn what_the_bundle_brings_need_not_be_there() {
    let repository = Repository::new();
    let systems = vec![repository.system("debian-12", "deb")];
    insta::assert_snapshot!(findings(systems, debian(), "absent socat\n").await, @r"
    it knows no time zone Europe/Atlantis
        correct `spec.system.timezone`, or install tzdata (older names: tzdata-legacy)
    ");
}

#[tokio::test]
async fn packages_for_other_systems_are_no_help() {
    let repository = Repository::new();
    let systems = vec![
        repository.system("debian-13", "deb"),
        repository.system("rocky-9", "rpm"),
    ];
    insta::assert_snapshot!(findings(systems, debian(), "").await);
}

#[tokio::test]
async fn the_system_must_bring_what_packages_rely_on() {
    let repository = Repository::new();
    let systems = || vec![repository.system("debian-12", "deb")];
    let unusable = "absent socat\nabsent passwd\nolder libc6 2.36-9\n";
    insta::assert_snapshot!(findings(systems(), debian(), unusable).await);
    let nothing_to_install = "absent passwd\nolder libc6 2.36-9\n";
    let found = findings(systems(), debian(), nothing_to_install).await;
    assert!(!found.contains("rely on"), "{found}");
}
