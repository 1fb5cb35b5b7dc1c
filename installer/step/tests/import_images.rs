//! Importing into a real containerd.

mod common;

use std::fs;
use std::process::{Child, Command};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use common::layout::{Layout, Part};
use common::{converge, operator, reason, said, told};
use engine::Step;
use step::{Containerd, ImageArchives, ImportImages, NodeImage};
use tempfile::TempDir;

struct Node {
    temp: TempDir,
    containerd: Child,
}

impl Node {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        let config = dir.join("containerd.toml");
        fs::write(&config, settings(dir)).unwrap();
        let log = fs::File::create(dir.join("containerd.log")).unwrap();
        let containerd = Command::new("containerd")
            .args(["--config", config.as_str()])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("containerd is installed");
        let node = Self { temp, containerd };
        let up = || node.ctr_ok(&["version"]);
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while !up() {
            assert!(
                std::time::Instant::now() < deadline,
                "containerd does not come up"
            );
        }
        node
    }

    fn dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.temp.path()).unwrap()
    }

    fn socket(&self) -> Utf8PathBuf {
        self.dir().join("containerd.sock")
    }

    fn ctr_ok(&self, arguments: &[&str]) -> bool {
        let ctr = Command::new("ctr")
            .args(["--address", self.socket().as_str(), "--namespace", "k8s.io"])
            .args(arguments)
            .output()
            .unwrap();
        ctr.status.success()
    }

    fn ctr(&self, arguments: &[&str]) -> String {
        let socket = self.socket();
        let start = ["ctr", "--address", socket.as_str(), "--namespace", "k8s.io"];
        said(start.into_iter().chain(arguments.iter().copied()))
    }

    fn import(&self, layout: &Layout, images: Vec<NodeImage>) -> ImportImages {
        ImportImages {
            archives: ImageArchives::new(layout.dir(), self.dir().join("archives")),
            images,
            containerd: Containerd {
                ctr: "/usr/bin/ctr".into(),
                socket: self.socket(),
            },
            upload_dir: self.dir().join("uploads"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
    }
}

fn settings(dir: &Utf8Path) -> String {
    format!(
        "\
version = 2
root = '{dir}/root'
state = '{dir}/state'
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt']
[grpc]
address = '{dir}/containerd.sock'
"
    )
}

fn image(reference: &str, manifest: &Part) -> NodeImage {
    NodeImage {
        reference: reference.to_owned(),
        manifest: manifest.digest,
        size: 1,
    }
}

fn two(layout: &Layout) -> Vec<NodeImage> {
    let base = layout.layer(1, 100_000);
    let pause = layout.manifest("amd64", &[&base]);
    let proxy = layout.manifest("amd64", &[&base, &layout.layer(2, 100_000)]);
    vec![
        image("registry.k8s.io/pause:3.10", &pause),
        image("docker.io/library/nginx:1.29", &proxy),
    ]
}

#[tokio::test]
async fn images_appear_under_their_names_pinned_and_nothing_stays_behind() {
    let node = Node::new();
    let layout = Layout::new(node.dir().join("images"));
    let images = two(&layout);
    let import = node.import(&layout, images.clone());
    assert_eq!(
        converge(&import).await.unwrap().unwrap(),
        "registry.k8s.io/pause:3.10 and 1 more are not there"
    );
    let names = node.ctr(&["images", "ls", "-q"]);
    assert_eq!(
        names,
        "docker.io/library/nginx:1.29\nregistry.k8s.io/pause:3.10\n"
    );
    let pinned = node.ctr(&[
        "images",
        "ls",
        "-q",
        "labels.\"io.cri-containerd.pinned\"==pinned",
    ]);
    assert_eq!(pinned, names);
    let whole = node.ctr(&["images", "check"]);
    assert_eq!(whole.matches("complete").count(), 2, "{whole}");
    assert!(!fs::exists(node.dir().join("uploads")).unwrap());
    assert_eq!(
        fs::read_dir(node.dir().join("archives")).unwrap().count(),
        0
    );
    assert_eq!(converge(&import).await.unwrap(), None);

    node.ctr(&["images", "rm", "docker.io/library/nginx:1.29"]);
    assert_eq!(
        converge(&import).await.unwrap().unwrap(),
        "docker.io/library/nginx:1.29 is not there"
    );

    node.ctr(&[
        "images",
        "label",
        "registry.k8s.io/pause:3.10",
        "io.cri-containerd.pinned=",
    ]);
    assert!(converge(&import).await.unwrap().is_some());

    fs::create_dir(node.dir().join("uploads")).unwrap();
    fs::write(node.dir().join("uploads/half.tar"), "").unwrap();
    assert_eq!(
        converge(&import).await.unwrap().unwrap(),
        "an interrupted upload was left behind"
    );
}

#[tokio::test]
async fn a_tag_that_moved_is_imported_again() {
    let node = Node::new();
    let layout = Layout::new(node.dir().join("images"));
    let old = layout.manifest("amd64", &[&layout.layer(1, 1000)]);
    let new = layout.manifest("amd64", &[&layout.layer(2, 1000)]);
    let import = |part| node.import(&layout, vec![image("quay.io/team/tool:1", part)]);
    converge(&import(&old)).await.unwrap();
    assert_eq!(
        reason(&import(&new)).await,
        "quay.io/team/tool:1 is not there"
    );
    converge(&import(&new)).await.unwrap();
}

#[tokio::test]
async fn a_node_says_why_it_cannot() {
    let node = Node::new();
    let layout = Layout::new(node.dir().join("images"));
    let part = layout.manifest("amd64", &[&layout.layer(1, 1000)]);
    let index = layout.index(&[&part]);
    let tidy = |error: engine::StepError| {
        told(&error)
            .replace(node.dir().as_str(), "[node]")
            .replace(&index.digest.to_string(), "[index]")
    };

    let import = node.import(&layout, vec![image("quay.io/team/tool:1", &index)]);
    insta::assert_snapshot!(tidy(import.apply(&operator()).await.unwrap_err()), @"quay.io/team/tool:1: [index] is an index, not the manifest for one architecture");

    let images = vec![image("quay.io/team/tool:1", &part)];
    let layer = layout.layer(1, 1000);
    let mut bytes = fs::read(layout.path(layer.digest)).unwrap();
    bytes[700] ^= 1;
    fs::write(layout.path(layer.digest), bytes).unwrap();
    let import = node.import(&layout, images.clone());
    let error = tidy(import.apply(&operator()).await.unwrap_err());
    assert!(
        error.starts_with("cannot import quay.io/team/tool:1: "),
        "{error}"
    );
    assert_eq!(fs::read_dir(node.dir().join("uploads")).unwrap().count(), 0);

    let mut import = node.import(&layout, images);
    import.containerd.ctr = "/nowhere/ctr".into();
    let error = tidy(import.check(&operator()).await.unwrap_err());
    assert!(error.starts_with("cannot list the images: "), "{error}");
}

#[tokio::test]
async fn nodes_served_side_by_side_share_an_archive() {
    let (one, other) = (Node::new(), Node::new());
    let layout = Layout::new(one.dir().join("images"));
    let images = two(&layout);
    let import = one.import(&layout, images.clone());
    let archives = Arc::clone(&import.archives);
    let beside = ImportImages {
        archives,
        ..other.import(&layout, images)
    };
    let (first, second) = tokio::join!(converge(&import), converge(&beside));
    assert!(first.unwrap().is_some() && second.unwrap().is_some());
    assert_eq!(fs::read_dir(one.dir().join("archives")).unwrap().count(), 0);
}
