//! What goes wrong, and what is said of it.

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, Relation, When};
use crate::root::Root;

/// A package whose script fails, and one that is fine.
async fn a_script_fails(manager: Manager, when: When) -> Option<String> {
    let root = Root::up(manager).await?;
    let script = "[ ! -e /run/broken ] || { echo 'no frobnicator on this machine' >&2; exit 3; }";
    let tool = Package::new("tool", "1").runs(when, script);
    let bundle = Bundle::of(manager, &[tool, Package::new("lib", "1")]);
    root.sh("touch /run/broken").await;
    let told = root.refuses(&bundle.install()).await;
    root.sh("rm /run/broken").await;
    root.converge(&bundle.install()).await.unwrap();
    assert_eq!(root.packages().await, ["lib 1", "tool 1"]);
    Some(told)
}

#[tokio::test]
async fn apt_tells_what_a_script_said() {
    let Some(told) = a_script_fails(Manager::Apt, When::Installed).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: no frobnicator on this machine
    dpkg: error processing package tool (--configure):
     installed tool package post-installation script subprocess returned error exit status 3
    hint: apt has said why; more is on the host, in /var/log/apt/term.log
    ");
}

#[tokio::test]
async fn dnf_tells_what_a_script_said() {
    let Some(told) = a_script_fails(Manager::Dnf, When::Installed).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: no frobnicator on this machine
    warning: %post(tool-1-1.noarch) scriptlet failed, exit status 3
    hint: for dnf it is installed all the same: mend what the script asks for, and run again, which goes on as it is
    ");
}

#[tokio::test]
async fn dnf_tells_what_a_script_said_beforehand() {
    let Some(told) = a_script_fails(Manager::Dnf, When::Installing).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: no frobnicator on this machine
    error: %prein(tool-1-1.noarch) scriptlet failed, exit status 3
    Error: Transaction failed
    hint: dnf has said why; more is on the host, in /var/log/dnf.log
    ");
}

const BIG: usize = 60 << 20;

/// The repository has room, and what comes out of the packages has none.
async fn the_disk_is_full(manager: Manager) -> Option<String> {
    let root = Root::with_room(manager, "128m").await?;
    let big = Package::new("big", "1")
        .that(Relation::Needs("lib"))
        .with_file("/usr/share/big/data", vec![0; BIG]);
    let bundle = Bundle::of(manager, &[big, Package::new("lib", "1")]);
    root.sh("fallocate -l 90M /filler").await;
    let told = root.refuses(&bundle.install()).await;
    root.sh("rm /filler").await;
    root.converge(&bundle.install()).await.unwrap();
    assert_eq!(root.packages().await, ["big 1", "lib 1"]);
    Some(told)
}

#[tokio::test]
async fn apt_on_a_full_disk() {
    let Some(told) = the_disk_is_full(Manager::Apt).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: the disk is full: nothing more can be written to /usr/share/big/data.dpkg-new, on /
    hint: make room there, and run again
    ");
}

#[tokio::test]
async fn dnf_on_a_full_disk() {
    let Some(told) = the_disk_is_full(Manager::Dnf).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: the disk is full: big-1-1.noarch needs 26MB more space on the / filesystem
    hint: make room there, and run again
    ");
}
