//! Installations that end before any host is reached.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

use artifact::{
    Base, Bundle, Cancel, ConfigEntry, Contents, FileEntry, Packing, Program, Release, Sha256,
    Tree, What, needs,
};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use event::Progress;
use serde_json::Value;

use super::layout::{documents, image, put};
use super::{kubexm, told};

/// Nobody listens on port 1.
const CONFIG: &str = "\
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: small}
spec:
  hosts:
    - {name: node1, address: 127.0.0.1, port: 1, password: hunter2}
  roleGroups: {etcd: [node1], master: [node1], worker: [node1]}
  kubernetes: {type: kubexm, autoRenewCerts: true}
";

/// A directory with a config and `small.tar.zst`, a bundle of everything that the config asks for, by name at least.
struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self::bundled(CONFIG)
    }

    /// With this config in the bundle.
    fn bundled(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap();
        let tree = Tree::at(path.join("source"));
        let contents = complete(&tree, config);
        pack(&tree, &contents, &path.join("small.tar.zst"), None);
        fs::write(path.join("site.yaml"), CONFIG).unwrap();
        Self { dir }
    }

    fn tree(&self) -> Utf8PathBuf {
        let dir = self.dir.path().join(".kubexm/small");
        dir.try_into().unwrap()
    }

    fn configured(self, config: &str) -> Self {
        fs::write(self.dir.path().join("site.yaml"), config).unwrap();
        self
    }

    fn told(&self, verb: &str, args: &[&str]) -> String {
        let args = [&[verb, "small.tar.zst", "-f", "site.yaml"], args].concat();
        told(self.dir.path(), &args)
    }

    fn events(&self, verb: &str) -> Vec<Value> {
        let args = [verb, "small.tar.zst", "-f", "site.yaml", "--output", "json"];
        let output = kubexm(self.dir.path(), &args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The bundle in several files, by names that tell nothing.
    fn segments(&self) -> Vec<String> {
        self.segments_of("small")
    }

    fn segments_of(&self, made_by: &str) -> Vec<String> {
        let path = Utf8Path::from_path(self.dir.path()).unwrap();
        let tree = Tree::at(path.join("source"));
        let mut contents = complete(&tree, CONFIG);
        made_by.clone_into(&mut contents.kubexm);
        // Frames are never parted, and what is not alike has frames of its own.
        for n in 0..3 {
            let blocks = (0..40).flat_map(|block| noise(&format!("{n} {block}")));
            let tool: Vec<u8> = blocks.collect();
            contents.files.push(FileEntry {
                component: Some(format!("tool-{n}")),
                ..put(&tree, &format!("tools/{n}"), &tool)
            });
        }
        contents.files.sort_by(|a, b| a.path.cmp(&b.path));
        let output = path.join("small.tar.zst");
        pack(&tree, &contents, &output, None);
        let whole = Bundle::open(&output).unwrap();
        fs::create_dir(path.join("disk")).unwrap();
        let name = |n, _| path.join(format!("disk/{}.ZST", 90 - n));
        let size = whole.size() / 2 + whole.contents_bytes().len() as u64;
        let segments = artifact::split(&whole, size, name, &Cancel::default()).unwrap();
        assert!(segments.len() > 1);
        let relative = |path: &Utf8Path| format!("disk/{}", path.file_name().unwrap());
        segments.iter().map(|one| relative(&one.path)).collect()
    }

    /// Another etcd for whoever has the bundle.
    fn delta(&self) {
        let path = Utf8Path::from_path(self.dir.path()).unwrap();
        let base = Base::open(&path.join("small.tar.zst")).unwrap();
        let tree = Tree::at(path.join("source"));
        let mut contents = complete(&tree, CONFIG);
        let mut files = contents.files.iter_mut();
        let etcd = files.find(|file| file.component.as_deref() == Some("etcd"));
        let etcd = etcd.unwrap();
        let renewed = put(&tree, etcd.path.as_str(), &noise("another"));
        (etcd.size, etcd.sha256) = (renewed.size, renewed.sha256);
        let output = path.join("small.delta.tar.zst");
        pack(&tree, &contents, &output, Some(&base));
    }

    fn reports(&self) -> Vec<Value> {
        let entries = fs::read_dir(self.tree().join("state")).unwrap();
        let names = entries.map(|entry| entry.unwrap().path());
        names
            .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
            .map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
            .collect()
    }
}

fn pack(tree: &Tree, contents: &Contents, output: &Utf8Path, since: Option<&Base>) {
    let packed = artifact::pack(&Packing {
        tree,
        contents,
        output,
        since,
        signer: None,
        jobs: NonZeroUsize::MIN,
        progress: &Progress::unseen(),
        cancel: &Cancel::default(),
    });
    packed.unwrap();
}

fn complete(tree: &Tree, config: &str) -> Contents {
    let cluster = cluster::parse("site.yaml", config).unwrap().cluster;
    let (mut files, mut images) = (vec![put(tree, "config.yaml", config.as_bytes())], vec![]);
    let mut sets = BTreeMap::new();
    for need in needs(&cluster) {
        match need.what {
            What::Component { name, programs } => {
                let path = format!("{name}/v1.34.2/amd64/{name}.tar.gz");
                let program = |name: &&str| Program {
                    name: (*name).into(),
                    member: Some(format!("bin/{name}")),
                    size: 1,
                    sha256: Sha256::of(name.as_bytes()),
                };
                files.push(FileEntry {
                    component: Some(name.into()),
                    version: Some("v1.34.2".into()),
                    arch: Some(Arch::Amd64),
                    programs: programs.iter().map(program).collect(),
                    ..put(tree, &path, &noise(name))
                });
            }
            What::Images { set } => {
                let reference = format!("registry.k8s.io/{set}:1");
                sets.insert(set, vec![reference.clone()]);
                let (image, blobs) = image(tree, &reference, &need.wanted_by);
                images.push(image);
                files.extend(blobs);
            }
            What::Image { reference, .. } => {
                let (image, blobs) = image(tree, &reference, &need.wanted_by);
                images.push(image);
                files.extend(blobs);
            }
            What::Package { .. } | What::Addon { .. } => {}
        }
    }
    images.sort_by(|a, b| a.reference.cmp(&b.reference));
    // What two ask for is there once.
    images.dedup_by(|a, b| a.reference == b.reference);
    files.extend(documents(tree, &images));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let release = Release {
        images: sets,
        config: Some("config.yaml".into()),
        ..Release::of(cluster.spec.kubernetes.version.clone(), &files)
    };
    let configs = vec![ConfigEntry {
        cluster: "small".into(),
        path: "config.yaml".into(),
        sha256: Sha256::of(config.as_bytes()),
    }];
    Contents {
        arches: vec![Arch::Amd64],
        releases: vec![release],
        configs,
        files,
        images,
        ..Contents::new("small", env!("CARGO_PKG_VERSION"))
    }
}

/// Bytes that do not compress.
fn noise(seed: &str) -> Vec<u8> {
    let block = |n: u32| Sha256::of(&[seed.as_bytes(), &n.to_le_bytes()].concat()).oci();
    (0..64).flat_map(|n| block(n).into_bytes()).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["event"].as_str());
    names.map(Option::unwrap).collect()
}

/// The two ends of a run are told once each, around everything else.
#[track_caller]
fn assert_one_run(events: &[Value]) {
    let names = names(events);
    assert_eq!(names[0], "run-started", "{names:?}");
    for end in ["run-started", "run-finished"] {
        assert_eq!(
            names.iter().filter(|name| **name == end).count(),
            1,
            "{names:?}"
        );
    }
}

#[test]
fn unpacking_and_the_steps_on_hosts_are_one_run() {
    let site = Site::new();
    let events = site.events("install");
    assert_one_run(&events);
    let end = events.last().unwrap();
    assert_eq!(end["event"], "run-finished");
    // The host that is down. Without it there is no lease, and nothing but preflight is done.
    assert_eq!(
        (&end["outcome"], &end["failed"]),
        (&"failed".into(), &1.into())
    );
    let mut stages: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] == "started")
        .map(|event| event["stage"].as_str().unwrap())
        .collect();
    stages.dedup();
    assert_eq!(stages, ["unpack", "preflight"]);
    let lacking = "the lease of the cluster is kept on node1, and 1 of them must be asked:";
    let mut warnings = events.iter().filter_map(|event| event["message"].as_str());
    assert!(
        warnings.any(|warning| warning.starts_with(lacking)),
        "{events:?}"
    );

    let unpacked = events
        .iter()
        .find(|event| event["event"] == "finished")
        .unwrap();
    assert_eq!(unpacked["outcome"], "changed");
    assert!(
        unpacked["reason"].as_str().unwrap().contains("written"),
        "{unpacked}"
    );

    let [report] = &site.reports()[..] else {
        panic!("one run, one report")
    };
    assert_eq!(
        (&report["outcome"], &report["failed"]),
        (&end["outcome"], &end["failed"])
    );
    assert_eq!(report["units"][0]["stage"], "unpack");
}

#[test]
fn a_damaged_bundle_leaves_a_report_as_well() {
    let site = Site::new();
    let bundle = site.dir.path().join("small.tar.zst");
    let file = File::options().read(true).write(true).open(bundle).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();

    let events = site.events("install");
    assert_one_run(&events);
    let error = events.last().unwrap();
    assert_eq!(
        (&error["event"], &error["exit"]),
        (&"error".into(), &3.into())
    );
    let reports = site.reports();
    assert_eq!(reports[0]["outcome"], "failed");
    let told = reports[0]["units"][0]["error"].as_str().unwrap();
    assert!(
        told.contains("is damaged: the bytes stored for it changed"),
        "{told}"
    );
    let finished = events
        .iter()
        .find(|event| event["event"] == "finished")
        .unwrap();
    assert_eq!(finished["error"], told);
}

#[test]
fn nothing_is_unpacked_while_somebody_else_works_on_the_cluster() {
    let site = Site::new();
    let state = site.tree().join("state");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("lock"), "bundle, process 7").unwrap();
    let other = File::open(state.join("lock")).unwrap();
    other.lock().unwrap();
    insta::assert_snapshot!(site.told("install", &[]));
    assert!(!site.tree().join("bundle.json").exists());
    assert!(!site.tree().join("containerd").exists());
}

#[test]
fn what_does_nothing_yet_is_named_by_every_verb_that_reads_it() {
    let site = Site::new();
    for (verb, args) in [
        ("install", &[][..]),
        ("install", &["--dry-run"]),
        ("plan", &[]),
    ] {
        let text = site.told(verb, args);
        let (_, talk) = text.split_once("-- stderr\n").unwrap();
        let warning = "warning: site.yaml asks for what this version does not do yet:\n    spec.kubernetes.autoRenewCerts\n";
        assert_eq!(talk.matches(warning).count(), 1, "{verb} {args:?}: {text}");
    }
}

#[test]
fn a_plan_as_data_is_one_line() {
    let site = Site::new();
    let [plan] = site.events("plan").try_into().unwrap();
    assert_eq!(plan[0]["stage"], "preflight");
}

#[test]
fn diagnostics_name_the_nodes_of_the_plan_and_more_of_them_their_parts() {
    let site = Site::new();
    let quiet = site.told("install", &[]);
    assert!(!quiet.contains("preflight/survey/node1/survey"), "{quiet}");
    let loud = site.told("install", &["-v"]);
    let node = loud
        .lines()
        .find(|line| line.contains("preflight/survey/node1/survey"));
    let node = node.unwrap_or_else(|| panic!("{loud}"));
    assert!(
        node.contains(" INFO engine") && node.contains("Failed"),
        "{node}"
    );
    assert!(!loud.contains("part=\"check\""), "{loud}");
    let louder = site.told("install", &["-vv"]);
    assert!(
        louder.contains("part=\"check\"") && louder.contains("journal opened"),
        "{louder}"
    );
    assert!(!louder.contains("hunter2"), "{louder}");
}

#[test]
fn what_a_login_lacks_is_told_with_its_cause_and_what_to_do() {
    let said = [
        "privateKeyPath: nowhere/id",
        "privateKeyPath: .",
        "password: {env: NOT_SET}",
        "user: root",
    ]
    .map(|login| {
        let config = CONFIG.replace("password: hunter2", login);
        Site::new()
            .configured(&config)
            .told("install", &["--dry-run"])
    });
    insta::assert_snapshot!(said.concat());
    let site = Site::bundled(&CONFIG.replace(", password: hunter2", ""));
    let homeless = CONFIG.replace("password: hunter2", "privateKeyPath: ~/id");
    let site = site.configured(&homeless);
    let args = ["install", "small.tar.zst", "-f", "site.yaml", "--dry-run"];
    let text = super::transcript(kubexm(site.dir.path(), &args).env_remove("HOME"));
    assert!(text.contains("HOME is not set"), "{text}");
    let bundled = told(site.dir.path(), &["install", "small.tar.zst", "--dry-run"]);
    assert!(
        bundled.ends_with("hint: a bundle carries no secret: give the site's config with -f\n"),
        "{bundled}"
    );
}

#[test]
fn what_cannot_be_told_is_no_work_to_do() {
    let told = Site::new().told("install", &["--dry-run"]);
    let sum = told
        .lines()
        .find(|line| line.ends_with("Nothing was changed."))
        .unwrap();
    assert!(
        sum.contains(" cannot be told: 1 host does not answer."),
        "{sum}"
    );
    let needed = told
        .lines()
        .filter(|line| line.contains(": needed ("))
        .count();
    assert!(sum.contains(&format!("; {needed} to do, ")), "{sum}");
    let judge = told
        .lines()
        .find(|line| line.contains("judge what was found"))
        .unwrap();
    assert!(
        judge.ends_with(": cannot tell (node1 could not tell)"),
        "{judge}"
    );
}

#[test]
fn a_bundle_that_nobody_vouches_for_chooses_nothing_to_be_read_here() {
    let told_with = |login: &str| {
        let site = Site::bundled(&CONFIG.replace("password: hunter2", login));
        let path = site.dir.path();
        let install = told(path, &["install", "small.tar.zst", "--dry-run"]);
        assert_eq!(told(path, &["plan", "small.tar.zst"]), install);
        assert!(!path.join(".kubexm").exists());
        install
    };
    let said = [
        "password: {file: /etc/hostname}",
        "password: {env: HOME}, sudoPassword: {env: PATH}",
        "privateKeyPath: ~/.ssh/id_ed25519, passphrase: {env: A}, bastion: {address: a.example.org, privateKeyPath: /b, passphrase: {env: C}}",
    ]
    .map(told_with);
    for told in &said {
        assert!(told.starts_with("exit 2\n"), "{told}");
        assert!(told.contains("nobody has vouched for it"), "{told}");
    }
    // Whoever gives a config has chosen.
    let site = Site::new().configured(&CONFIG.replace("hunter2", "{env: HOME}"));
    let own = site.told("install", &["--dry-run"]);
    assert!(own.contains("Nothing was changed."), "{own}");
}

#[test]
fn a_delta_builds_on_the_tree_or_touches_nothing() {
    let site = Site::new();
    site.delta();
    let install = |args: &[&str]| {
        let all = [&["install", "small.delta.tar.zst", "-f", "site.yaml"], args].concat();
        told(site.dir.path(), &all)
    };
    for args in [&["--dry-run"][..], &[]] {
        let text = install(args);
        assert!(text.starts_with("exit 3\n"), "{text}");
        assert!(text.contains("has not all that it builds on"), "{text}");
        assert!(text.contains("kubexm get inventory"), "{text}");
    }
    assert!(!site.tree().join("bundle.json").exists());
    assert!(!site.tree().join("etcd").exists());
    // With the tree of the whole bundle it goes as far as that does: to a host that nobody answers for.
    let whole = site.told("install", &[]);
    assert!(whole.starts_with("exit 1\n"), "{whole}");
    let text = install(&[]);
    assert!(text.starts_with("exit 1\n"), "{text}");
    assert!(text.contains("1 file written"), "{text}");
}

#[test]
fn segments_come_one_after_the_other_and_hosts_wait_for_the_last() {
    let site = Site::new();
    let mut segments = site.segments();
    let install = |files: &[&str]| {
        let args = [&["install"], files, &["-f", "site.yaml"]].concat();
        told(site.dir.path(), &args)
    };
    let first = segments.remove(0);
    for file in segments.iter().rev().map(String::as_str) {
        let text = install(&[file]);
        assert!(text.starts_with("exit 1\n"), "{text}");
        assert!(
            text.contains("segments there are still to come: 1 ("),
            "{text}"
        );
        assert!(!text.contains("preflight"), "{text}");
        assert!(!site.tree().join("bundle.json").exists());
    }
    let text = install(&[&first]);
    assert!(text.contains("preflight"), "{text}");
    assert!(site.tree().join("bundle.json").exists());
}

#[test]
fn segments_in_a_directory_are_found_by_what_is_in_them() {
    let site = Site::new();
    let segments = site.segments();
    let dir = Utf8Path::from_path(site.dir.path()).unwrap();
    fs::copy(dir.join(&segments[0]), dir.join("disk/copy (1).tar.zst")).unwrap();
    fs::write(dir.join("disk/._90.ZST"), "of another system").unwrap();
    let text = told(site.dir.path(), &["verify", "disk"]);
    assert!(text.starts_with("exit 0\n"), "{text}");
    assert_eq!(text.matches(": intact (").count(), segments.len(), "{text}");
    let text = told(site.dir.path(), &["install", "disk", "-f", "site.yaml"]);
    assert!(text.contains("preflight"), "{text}");
    // Those of another bundle are not taken for more of the same.
    let other = Site::new();
    let stranger = other.segments_of("another").remove(0);
    fs::copy(other.dir.path().join(stranger), dir.join("disk/89.zst")).unwrap();
    let text = told(site.dir.path(), &["verify", "disk"]);
    assert!(text.starts_with("exit 2\n"), "{text}");
    assert!(
        text.contains("disk holds segments of more than one bundle: "),
        "{text}"
    );
    fs::create_dir(dir.join("empty")).unwrap();
    let text = told(site.dir.path(), &["verify", "empty"]);
    assert!(
        text.contains("there is no segment of a bundle in empty"),
        "{text}"
    );
}

#[test]
fn a_bundle_that_takes_the_place_of_another_is_told_before_it_does() {
    let of_another = |name: &str| {
        let site = Site::new();
        let dir = Utf8Path::from_path(site.dir.path()).unwrap();
        let tree = Tree::at(dir.join("source"));
        let mut contents = complete(&tree, CONFIG);
        name.clone_into(&mut contents.cluster);
        name.clone_into(&mut contents.configs[0].cluster);
        pack(&tree, &contents, &dir.join("small.tar.zst"), None);
        site.told("install", &["--dry-run"])
    };
    for name in ["another", "../../evil"] {
        let told = of_another(name);
        let warning = format!(
            "warning: the bundle was made for cluster {name}, and the config is that of small\n"
        );
        assert!(told.contains(&warning), "{told}");
    }
    assert!(!of_another("small").contains("was made for"));

    let site = Site::new();
    let held = Contents {
        serial: 2,
        ..Contents::new("small", env!("CARGO_PKG_VERSION"))
    };
    fs::create_dir_all(site.tree()).unwrap();
    fs::write(site.tree().join("bundle.json"), held.to_bytes()).unwrap();
    let told = site.told("install", &["--dry-run"]);
    let warning = "the bundle is older than the one in the tree (serial 0 after 2)\n";
    assert!(told.contains(warning), "{told}");
}
