//! The script itself, on this machine, in a directory of the test's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use host::local::LocalHost;
use host::{Host, Redactor};

use super::*;
use crate::shell::path_with_telling_sync;

struct Machine {
    temp: tempfile::TempDir,
    host: LocalHost,
}

impl Machine {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("etc")).unwrap();
        let host = LocalHost::new("here", Redactor::default());
        Self { temp, host }
    }

    fn path(&self, path: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.temp.path()).unwrap().join(path)
    }

    fn base(&self) -> Utf8PathBuf {
        self.path("kubexm/before")
    }

    async fn run(&self, command: Command) -> String {
        let output = self.host.run(&command).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.ok(), "{said}");
        output.text()
    }

    async fn note(&self, what: &[Resource]) {
        self.run(command(&self.base(), "note", what)).await;
    }

    async fn restore(&self, what: &[Resource]) {
        self.run(command(&self.base(), "restore", what)).await;
        assert_eq!(self.pending(what).await, "");
    }

    async fn pending(&self, what: &[Resource]) -> String {
        let said = self.run(command(&self.base(), "pending", what)).await;
        said.replace(self.path("").as_str(), "/")
    }

    async fn leave(&self, data: &str) {
        self.run(script(&[self.base().as_str(), "leave", data]))
            .await;
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    fn mode(&self, path: &str) -> u32 {
        let mode = fs::metadata(self.path(path)).unwrap().permissions().mode();
        mode & 0o7777
    }

    fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_was_there_comes_back_as_it_was_however_often_it_was_changed() {
    let machine = Machine::new();
    machine.write("etc/hosts.toml", "theirs");
    machine.set_mode("etc/hosts.toml", 0o640);
    let what = [Resource::File(machine.path("etc/hosts.toml"))];
    assert_eq!(machine.pending(&what).await, "");
    for ours in ["ours", "ours again"] {
        machine.note(&what).await;
        machine.write("etc/hosts.toml", ours);
        machine.set_mode("etc/hosts.toml", 0o600);
    }
    assert_eq!(
        machine.pending(&what).await,
        "kubexm replaced /etc/hosts.toml"
    );
    machine.restore(&what).await;
    assert_eq!(machine.read("etc/hosts.toml").unwrap(), "theirs");
    assert_eq!(machine.mode("etc/hosts.toml"), 0o640);
    // Taken back already: what is there now is theirs.
    machine.restore(&what).await;
    assert_eq!(machine.read("etc/hosts.toml").unwrap(), "theirs");
}

#[tokio::test]
async fn a_link_comes_back_as_a_link() {
    let machine = Machine::new();
    symlink("elsewhere", machine.path("etc/link")).unwrap();
    let what = [Resource::File(machine.path("etc/link"))];
    machine.note(&what).await;
    fs::remove_file(machine.path("etc/link")).unwrap();
    machine.write("etc/link", "ours");
    machine.restore(&what).await;
    let link = fs::read_link(machine.path("etc/link")).unwrap();
    assert_eq!(link.to_str().unwrap(), "elsewhere");
}

#[tokio::test]
async fn a_file_that_was_not_there_goes_with_the_directories_that_were_made_for_it() {
    let machine = Machine::new();
    let what = [Resource::File(machine.path("etc/a/b/file"))];
    machine.note(&what).await;
    machine.write("etc/a/b/file", "ours");
    assert_eq!(
        machine.pending(&what).await,
        "kubexm put /etc/a/b/file there"
    );
    machine.restore(&what).await;
    assert!(!machine.path("etc/a").exists() && machine.path("etc").exists());
}

#[tokio::test]
async fn what_was_never_noted_stays() {
    let machine = Machine::new();
    machine.write("etc/a/file", "theirs");
    let what = [
        Resource::File(machine.path("etc/a/file")),
        Resource::Directory(machine.path("etc/a")),
        Resource::Tree(machine.path("etc/a")),
        Resource::Data(machine.path("etc/a")),
    ];
    machine.restore(&what).await;
    assert_eq!(machine.read("etc/a/file").unwrap(), "theirs");
}

#[tokio::test]
async fn a_directory_goes_if_it_was_made_and_is_empty() {
    let machine = Machine::new();
    let directory = |path: &str| Resource::Directory(machine.path(path));
    fs::create_dir(machine.path("etc/theirs")).unwrap();
    machine.set_mode("etc/theirs", 0o711);
    let what = [
        directory("etc/theirs"),
        directory("etc/ours"),
        directory("etc/shared"),
    ];
    machine.note(&what).await;
    machine.set_mode("etc/theirs", 0o755);
    machine.write("etc/ours/file", "ours");
    machine.write("etc/shared/file", "theirs");
    fs::remove_file(machine.path("etc/ours/file")).unwrap();
    machine.restore(&what).await;
    assert_eq!(machine.mode("etc/theirs"), 0o711);
    assert!(!machine.path("etc/ours").exists());
    assert_eq!(machine.read("etc/shared/file").unwrap(), "theirs");
    // Whoever put something in has taken it out: now it can go.
    fs::remove_file(machine.path("etc/shared/file")).unwrap();
    machine.leave("purge").await;
    assert!(!machine.path("etc/shared").exists());
    assert!(!machine.path("kubexm").exists());
}

#[tokio::test]
async fn data_that_came_later_goes_and_what_was_in_the_directory_stays() {
    let machine = Machine::new();
    machine.write("disk/lost+found/x", "theirs");
    let what = [
        Resource::Data(machine.path("disk")),
        Resource::Data(machine.path("var/etcd")),
    ];
    machine.note(&what).await;
    for path in ["disk/blobs/1", "disk/.hidden", "var/etcd/member/wal"] {
        machine.write(path, "data");
    }
    machine.note(&what).await;
    machine.restore(&what).await;
    assert_eq!(fs::read_dir(machine.path("disk")).unwrap().count(), 1);
    assert_eq!(machine.read("disk/lost+found/x").unwrap(), "theirs");
    assert!(!machine.path("var").exists());
}

#[tokio::test]
async fn leaving_takes_back_what_no_plan_names_any_more_and_keeps_data_with_its_notes() {
    let machine = Machine::new();
    machine.write("etc/theirs", "theirs");
    let data = [Resource::Data(machine.path("var/etcd"))];
    let what = [
        Resource::File(machine.path("etc/theirs")),
        Resource::File(machine.path("etc/ours/file")),
        Resource::Directory(machine.path("etc/ours")),
    ];
    machine.note(&data).await;
    machine.note(&what).await;
    for path in [
        "etc/theirs",
        "etc/ours/file",
        "var/etcd/wal",
        "kubexm/services/x",
    ] {
        machine.write(path, "ours");
    }
    machine.leave("keep").await;
    assert_eq!(machine.read("etc/theirs").unwrap(), "theirs");
    assert!(!machine.path("etc/ours").exists());
    assert!(!machine.path("kubexm/services").exists());
    assert_eq!(machine.read("var/etcd/wal").unwrap(), "ours");
    // Set up once more, and the data is still known to be ours.
    machine.note(&data).await;
    machine.leave("purge").await;
    assert!(!machine.path("var").exists() && !machine.path("kubexm").exists());
}

#[tokio::test]
async fn a_note_that_was_begun_by_a_killed_run_is_written_anew() {
    let machine = Machine::new();
    machine.write("etc/file", "theirs");
    let what = [Resource::File(machine.path("etc/file"))];
    machine.note(&what).await;
    let note = format!("{}/paths{}", machine.base(), machine.path("etc/file"));
    fs::rename(format!("{note}/@was"), format!("{note}/@was.part")).unwrap();
    fs::write(format!("{note}/@was.part"), "the").unwrap();
    machine.note(&what).await;
    machine.write("etc/file", "ours");
    machine.restore(&what).await;
    assert_eq!(machine.read("etc/file").unwrap(), "theirs");
}

#[tokio::test]
async fn a_link_to_a_directory_of_data_stays_and_what_it_leads_to_is_as_it_was() {
    let machine = Machine::new();
    machine.write("disk/lost+found/x", "theirs");
    machine.set_mode("disk", 0o711);
    symlink("disk", machine.path("etcd")).unwrap();
    let what = [Resource::Data(machine.path("etcd"))];
    machine.note(&what).await;
    machine.set_mode("disk", 0o700);
    machine.write("disk/member/wal", "data");
    machine.restore(&what).await;
    assert!(machine.path("etcd").is_symlink() && !machine.path("disk/member").exists());
    assert_eq!(machine.read("disk/lost+found/x").unwrap(), "theirs");
    assert_eq!(machine.mode("disk"), 0o711);
}

#[tokio::test]
async fn a_note_goes_when_the_disk_has_what_it_held() {
    let machine = Machine::new();
    machine.write("etc/file", "theirs");
    let file = machine.path("etc/file");
    machine.note(&[Resource::File(file.clone())]).await;
    machine.write("etc/file", "ours");
    let restore = |told: Utf8PathBuf| {
        let mut child = std::process::Command::new("sh")
            .args(["-s", "--", machine.base().as_str(), "restore", "file"])
            .arg(&file)
            .env("PATH", path_with_telling_sync(machine.temp.path()))
            .env("FILE", format!("{}/paths{file}/@was", machine.base()))
            .env("TOLD", told)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), SCRIPT.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    restore(machine.path("told"));
    assert_eq!(machine.read("etc/file").unwrap(), "theirs");
    insta::assert_snapshot!(machine.read("told").unwrap(), @r"
    file.kubexm-was; file: theirs
    directory; file: theirs
    ");
}

#[tokio::test]
async fn what_a_killed_write_left_beside_a_file_goes_with_it() {
    let machine = Machine::new();
    machine.write("etc/theirs", "theirs");
    let what =
        ["etc/theirs", "etc/ours/file", "etc/hosts"].map(|path| Resource::File(machine.path(path)));
    machine.note(&what).await;
    let left = [
        "etc/.kubexm-theirs.a1B2c3D4",
        "etc/ours/.kubexm-file.a1B2c3D4",
        "etc/ours/file.kubexm-new",
        "etc/ours/.kubexm-file.kubexm-new.a1B2c3D4",
        "etc/.kubexm-hosts.a1B2c3D4",
    ];
    for path in left {
        machine.write(path, "a password");
    }
    machine.write("etc/.kubexm-others.a1B2c3D4", "theirs");
    let forget = command(&machine.base(), "forget", &what[2..]);
    machine.run(forget).await;
    machine.restore(&what[..2]).await;
    let mut names: Vec<_> = fs::read_dir(machine.path("etc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".kubexm-others.a1B2c3D4", "theirs"]);
}
