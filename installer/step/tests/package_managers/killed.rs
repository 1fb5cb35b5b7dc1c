//! The power goes, or somebody loses patience.

use step::RemovePackages;

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, Relation, When};
use crate::root::Root;

/// While the gate is there, whoever comes tells it its number, and waits. Otherwise it does what it is for.
const GATE: &str =
    "if [ -p /run/gate ]; then echo $$ >/run/gate; sleep 1000; fi; echo $1 >>/run/done";

/// `first` is upgraded for `tool`, whose script is at work when everything is killed; `last` comes after it.
fn bundle(manager: Manager) -> Bundle {
    let tool = Package::new("tool", "1")
        .that(Relation::NeedsAtLeast("first", "2"))
        .runs(When::Installed, GATE);
    let last = Package::new("last", "1").that(Relation::Needs("tool"));
    let first = Package::new("first", "2").with_file("/usr/share/first/new", "new");
    Bundle::of(manager, &[tool, last, first])
}

async fn killed(manager: Manager) -> Option<(Root, Bundle)> {
    let root = Root::up(manager).await?;
    let old = Package::new("first", "1").with_file("/usr/share/first/old", "old");
    root.has(&[old]).await;
    let bundle = bundle(manager);
    let step = bundle.install();
    root.sh("mkfifo /run/gate").await;
    let kill = "read pid </run/gate; kill -9 -$(ps -o pgid= -p $pid | tr -d ' ')";
    let (failed, _) = tokio::join!(root.converge(&step), root.sh(kill));
    assert!(failed.is_err());
    root.sh("rm /run/gate; [ ! -e /run/done ]").await;
    Some((root, bundle))
}

async fn the_next_run_mends(manager: Manager) {
    let Some((root, bundle)) = killed(manager).await else {
        return;
    };
    root.converge(&bundle.install()).await.unwrap();
    assert_eq!(root.packages().await, ["first 2", "last 1", "tool 1"]);
    let done = root.sh("cat /run/done").await;
    assert_eq!(done.lines().count(), 1, "{done}");
    let files = root.sh("ls /usr/share/first; [ ! -e /var/lib/kubexm/packages ]");
    assert_eq!(files.await, "new\nversion");
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["first 2"]);
}

/// Without a run that mends.
async fn it_can_be_removed(manager: Manager) {
    let Some((root, _)) = killed(manager).await else {
        return;
    };
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["first 2"]);
}

#[tokio::test]
async fn apt_was_killed() {
    the_next_run_mends(Manager::Apt).await;
}

#[tokio::test]
async fn dnf_was_killed() {
    the_next_run_mends(Manager::Dnf).await;
}

#[tokio::test]
async fn what_a_killed_apt_left_is_removed() {
    it_can_be_removed(Manager::Apt).await;
}

#[tokio::test]
async fn what_a_killed_dnf_left_is_removed() {
    it_can_be_removed(Manager::Dnf).await;
}
