use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::process::Command;

use artifact::{
    Base, Bundle, Cancel, ConfigEntry, Contents, FileEntry, ImageSet, Packing, Release, Sha256,
    Signer, Tree,
};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use event::Progress;

use super::layout::{documents, image, put};
use super::{kubexm, one_line, told};

pub const CONFIG: &str = "\
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: small}
spec:
  hosts:
    - {name: node1, address: 192.0.2.1, agent: true}
  roleGroups: {etcd: [node1], master: [node1], worker: [node1]}
";

/// A directory with `small.tar.zst` in it, a bundle of three files and an image.
pub struct Site {
    dir: tempfile::TempDir,
    contents: Contents,
}

impl Site {
    pub fn new() -> Self {
        Self::signed(None)
    }

    fn signed(signer: Option<&Signer>) -> Self {
        let mut site = Self {
            dir: tempfile::tempdir().unwrap(),
            contents: Contents::new("small", env!("CARGO_PKG_VERSION")),
        };
        let tree = Tree::at(site.path().join("source"));
        let etcd = |arch: Arch| FileEntry {
            component: Some("etcd".into()),
            version: Some("v3.5.24".into()),
            arch: Some(arch),
            ..put(
                &tree,
                &format!("etcd/v3.5.24/{arch}/etcd.tar.gz"),
                &noise(arch as u8),
            )
        };
        let reference = "registry.k8s.io/pause:3.10.1";
        let (pause, blobs) = image(&tree, reference, "containerRuntime containerd");
        let config = put(&tree, "config.yaml", CONFIG.as_bytes());
        let etcd = [etcd(Arch::Amd64), etcd(Arch::Arm64)];
        let release = Release {
            images: [(ImageSet::Pause, vec![reference.to_owned()])].into(),
            config: Some(config.path.clone()),
            ..Release::of("v1.34.2".parse().unwrap(), &etcd)
        };
        let configs = vec![ConfigEntry {
            cluster: "small".into(),
            path: config.path.clone(),
            sha256: config.sha256,
        }];
        let images = vec![pause];
        let mut files = vec![config];
        files.extend(etcd);
        files.extend(blobs);
        files.extend(documents(&tree, &images));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        site.contents = Contents {
            arches: vec![Arch::Amd64, Arch::Arm64],
            releases: vec![release],
            configs,
            files,
            images,
            ..site.contents
        };
        site.pack("small.tar.zst", signer, None);
        site
    }

    fn pack(&self, name: &str, signer: Option<&Signer>, since: Option<&Base>) {
        let packed = artifact::pack(&Packing {
            tree: &Tree::at(self.path().join("source")),
            contents: &self.contents,
            output: &self.path().join(name),
            since,
            signer,
            jobs: NonZeroUsize::MIN,
            progress: &Progress::unseen(),
            cancel: &Cancel::default(),
        });
        packed.unwrap();
    }

    /// Has the bundle unpacked, as a site has it.
    pub fn unpack(&self) {
        let tree = Tree::at(self.path().join(".kubexm/small"));
        let bundle = Bundle::open(&self.bundle()).unwrap();
        let (unseen, cancel) = (Progress::unseen(), Cancel::default());
        bundle
            .unpack(&tree, NonZeroUsize::MIN, &unseen, &cancel)
            .unwrap();
    }

    /// Another etcd for one architecture, in a delta for whoever has this.
    pub fn delta(&mut self, since: &str) {
        let base = Base::open(&self.path().join(since)).unwrap();
        let tree = Tree::at(self.path().join("source"));
        let path = "etcd/v3.5.24/amd64/etcd.tar.gz";
        let renewed = put(&tree, path, &noise(9));
        let mut files = self.contents.files.iter_mut();
        let file = files.find(|file| file.path == path).unwrap();
        (file.size, file.sha256) = (renewed.size, renewed.sha256);
        self.pack("small.delta.tar.zst", None, Some(&base));
    }

    pub fn path(&self) -> &Utf8Path {
        self.dir.path().try_into().unwrap()
    }

    pub fn bundle(&self) -> Utf8PathBuf {
        self.path().join("small.tar.zst")
    }

    /// Changes one byte in the middle, where the content of a file lies.
    pub fn damage(&self) {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(self.bundle())
            .unwrap();
        let middle = file.metadata().unwrap().len() / 2;
        let mut byte = [0];
        file.read_exact_at(&mut byte, middle).unwrap();
        file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    }

    pub fn told(&self, args: &[&str]) -> String {
        told(self.dir.path(), args)
    }
}

/// Bytes that do not compress.
fn noise(seed: u8) -> Vec<u8> {
    (0..4096_u32)
        .flat_map(|n| {
            *Sha256::of(&[&[seed], &n.to_le_bytes()[..]].concat())
                .oci()
                .as_bytes()
                .last_chunk::<8>()
                .unwrap()
        })
        .collect()
}

#[test]
fn inspect_tells_what_a_bundle_holds() {
    insta::assert_snapshot!(Site::new().told(&["inspect", "small.tar.zst", "--files"]));
}

#[test]
fn inspect_gives_the_manifest_as_it_is() {
    let site = Site::new();
    let args = ["inspect", "small.tar.zst", "--json"];
    let output = kubexm(site.dir.path(), &args).output().unwrap();
    let contents: Contents = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(contents.to_bytes(), output.stdout);
    assert_eq!(contents.cluster, "small");
    let args = ["inspect", "small.tar.zst", "--output=json"];
    let output = kubexm(site.dir.path(), &args).output().unwrap();
    let same: Contents = serde_json::from_str(one_line(&output)).unwrap();
    assert_eq!(same, contents);
}

#[test]
fn verify_calls_a_good_bundle_intact() {
    insta::assert_snapshot!(Site::new().told(&["verify", "small.tar.zst"]));
}

#[test]
fn verify_names_the_damaged_member_with_exit_code_3() {
    let site = Site::new();
    site.damage();
    insta::assert_snapshot!(site.told(&["verify", "small.tar.zst"]));
}

#[test]
fn verify_talks_in_events() {
    let site = Site::new();
    let output = kubexm(
        site.dir.path(),
        &["verify", "small.tar.zst", "--output", "json"],
    )
    .output()
    .unwrap();
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names.first(), Some(&"started"));
    assert_eq!(names.last(), Some(&"verified"));

    site.damage();
    let output = kubexm(
        site.dir.path(),
        &["verify", "small.tar.zst", "--output", "json"],
    )
    .output()
    .unwrap();
    let last = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["exit"]),
        (&"error".into(), &3.into())
    );
}

#[test]
fn a_cut_bundle_is_refused_by_every_verb() {
    let site = Site::new();
    let bytes = fs::read(site.bundle()).unwrap();
    fs::write(site.bundle(), &bytes[..bytes.len() - 100]).unwrap();
    for verb in ["inspect", "verify", "install"] {
        let text = site.told(&[verb, "small.tar.zst"]);
        assert!(
            text.starts_with("exit 3\n-- stderr\nerror: small.tar.zst"),
            "{verb}: {text}"
        );
    }
    assert!(!site.path().join(".kubexm/small/etcd").exists());
}

#[test]
fn what_is_no_bundle_is_called_so() {
    let site = Site::new();
    fs::write(site.path().join("notes.txt"), "not a bundle").unwrap();
    insta::assert_snapshot!(site.told(&["inspect", "notes.txt"]));
    insta::assert_snapshot!(site.told(&["verify", "nowhere.tar.zst"]));
}

#[test]
fn install_of_a_damaged_bundle_ends_with_exit_code_3() {
    let site = Site::new();
    site.damage();
    let text = site.told(&["install", "small.tar.zst"]);
    assert!(text.starts_with("exit 3\n"), "{text}");
    assert!(
        text.contains("\"etcd/v3.5.24/amd64/etcd.tar.gz\" is damaged"),
        "{text}"
    );
}

#[test]
fn a_signature_is_insisted_on_when_signers_are_given() {
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let signer = Signer::from_openssh_key(&fs::read_to_string(&path).unwrap(), None).unwrap();
        (
            signer,
            fs::read_to_string(path.with_extension("pub")).unwrap(),
        )
    };
    let ((signer, public), (_, stranger)) = (key("maker"), key("stranger"));
    let site = Site::signed(Some(&signer));
    let verify = |public: &str| {
        fs::write(
            site.path().join("signers"),
            format!("maker@example.org {public}"),
        )
        .unwrap();
        site.told(&["verify", "small.tar.zst", "--signers", "signers"])
    };
    let text = verify(&public);
    assert!(
        text.starts_with("exit 0\n") && text.contains("signed by maker@example.org (SHA256:"),
        "{text}"
    );
    let text = verify(&stranger);
    assert!(
        text.starts_with("exit 3\n") && text.contains("unknown key"),
        "{text}"
    );

    let unsigned = Site::new();
    fs::write(
        unsigned.path().join("signers"),
        format!("maker@example.org {public}"),
    )
    .unwrap();
    for verb in ["verify", "install"] {
        let text = unsigned.told(&[verb, "small.tar.zst", "--signers", "signers"]);
        assert!(
            text.starts_with("exit 3\n") && text.contains("not signed"),
            "{text}"
        );
    }
    assert!(
        !unsigned.path().join(".kubexm").exists(),
        "nothing is unpacked before the signature counts"
    );
}

#[test]
fn a_pipe_that_nobody_writes_into_holds_nothing_up() {
    let site = Site::new();
    let made = Command::new("mkfifo")
        .arg(site.path().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let (empty, refused) = (
        "it is a pipe, and nothing came out of it",
        "it is no regular file",
    );
    for (args, why) in [
        (&["inspect", "pipe"][..], refused),
        (&["verify", "small.tar.zst", "--signers", "pipe"], empty),
        (&["install", "small.tar.zst", "-f", "pipe"], empty),
        (&["install", "small.tar.zst", "-f", "/dev/zero"], refused),
    ] {
        let text = site.told(args);
        assert!(text.contains(why), "{text}");
    }
}
