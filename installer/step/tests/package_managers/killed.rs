//! The power goes, or somebody loses patience.

use step::RemovePackages;

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, Relation, When};
use crate::root::Root;

/// While the gate is there, whoever comes tells it its number, and waits. Otherwise it does what it is for.
const GATE: &str = "if [ -p /run/gate ]; then echo $$ >/run/gate; sleep 1000; fi
echo $1 >>/run/done
systemctl enable tool.service";

const UNIT: &str = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";

/// `first` is upgraded for `tool`, whose script is at work when everything is killed; `last` comes after it.
fn bundle(manager: Manager) -> Bundle {
    let tool = Package::new("tool", "1")
        .that(Relation::NeedsAtLeast("first", "2"))
        .with_file("/usr/lib/systemd/system/tool.service", UNIT)
        .runs(When::Installing, "id tool || useradd --system tool")
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
    kill_at_gate(&root, &bundle).await;
    root.sh("[ ! -e /run/done ]").await;
    Some((root, bundle))
}

async fn kill_at_gate(root: &Root, bundle: &Bundle) {
    let step = bundle.install();
    root.sh("mkfifo /run/gate").await;
    let kill = "read pid </run/gate; kill -9 -$(ps -o pgid= -p $pid | tr -d ' ')";
    let (failed, _) = tokio::join!(root.converge(&step), root.sh(kill));
    assert!(failed.is_err());
    root.sh("rm /run/gate").await;
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

/// What its owner does on a host until somebody runs kubexm again. `systemctl` tells of what runs and is stopped, as
/// nothing does in a bare root.
const MEANWHILE: &str = r#"
useradd --create-home owner
useradd --system --shell /usr/sbin/nologin robot
groupadd --system robots
printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/mine.service
systemctl enable mine.service theirs.service
mv /usr/bin/systemctl /usr/bin/systemctl.real
cat >/usr/bin/systemctl <<'EOF'
#!/bin/sh
case $1 in
list-units) printf '%s.service loaded active running\n' mine theirs tool ;;
stop) shift 2 && echo "$*" >>/run/stopped ;;
*) exec systemctl.real "$@" ;;
esac
EOF
chmod 755 /usr/bin/systemctl"#;

async fn killed_and_left_to_the_owner(manager: Manager) -> Option<(Root, Bundle)> {
    let (root, bundle) = killed(manager).await?;
    let theirs = Package::new("theirs", "1")
        .with_file("/usr/lib/systemd/system/theirs.service", UNIT)
        .runs(When::Installing, "useradd --system theirs");
    root.has(&[theirs]).await;
    root.sh(MEANWHILE).await;
    Some((root, bundle))
}

/// And the users and units of packages go with them.
async fn what_the_owner_did_stays(root: &Root) {
    root.converge(&RemovePackages).await.unwrap();
    let users = "grep -o -E '^(owner|robot|robots|theirs|tool):' /etc/passwd /etc/group | sort";
    let users = root.sh(users).await;
    insta::allow_duplicates! {
        insta::assert_snapshot!(users, @r"
        /etc/group:owner:
        /etc/group:robot:
        /etc/group:robots:
        /etc/group:theirs:
        /etc/passwd:owner:
        /etc/passwd:robot:
        /etc/passwd:theirs:
        ");
    }
    let enabled = "systemctl is-enabled mine.service theirs.service";
    assert_eq!(root.sh(enabled).await, "enabled\nenabled");
    let stopped = root.sh("cat /run/stopped").await;
    assert_eq!(stopped, "tool.service");
}

async fn the_next_run_mends_its_own(manager: Manager) {
    let Some((root, bundle)) = killed_and_left_to_the_owner(manager).await else {
        return;
    };
    root.converge(&bundle.install()).await.unwrap();
    let enabled = "systemctl is-enabled tool.service || true";
    assert_eq!(root.sh(enabled).await, "disabled");
    what_the_owner_did_stays(&root).await;
}

async fn removal_takes_its_own(manager: Manager) {
    let Some((root, _)) = killed_and_left_to_the_owner(manager).await else {
        return;
    };
    what_the_owner_did_stays(&root).await;
}

#[tokio::test]
async fn a_run_after_a_killed_apt_touches_nothing_of_the_owner() {
    the_next_run_mends_its_own(Manager::Apt).await;
}

#[tokio::test]
async fn a_run_after_a_killed_dnf_touches_nothing_of_the_owner() {
    the_next_run_mends_its_own(Manager::Dnf).await;
}

#[tokio::test]
async fn removal_after_a_killed_apt_touches_nothing_of_the_owner() {
    removal_takes_its_own(Manager::Apt).await;
}

#[tokio::test]
async fn removal_after_a_killed_dnf_touches_nothing_of_the_owner() {
    removal_takes_its_own(Manager::Dnf).await;
}

/// Beside a `dpkg-deb` that waits when it has begun to build.
const SLOW_BUILD: &str = r#"
mv /usr/bin/dpkg-deb /usr/bin/dpkg-deb.real
cat >/usr/bin/dpkg-deb <<'EOF'
#!/bin/sh
for last; do :; done
case "$*" in *--build*)
	echo half >"$last"
	if [ -p /run/gate ]; then echo $$ >/run/gate; sleep 1000; fi
	;;
esac
exec dpkg-deb.real "$@"
EOF
chmod 755 /usr/bin/dpkg-deb"#;

/// While it makes a package of what has to go for `clock`, and is still there.
async fn killed_while_it_repacks() -> Option<(Root, Bundle)> {
    let root = Root::up(Manager::Apt).await?;
    root.has(&[Package::new("timesyncd", "257")]).await;
    let clock = Package::new("clock", "4").that(Relation::Conflicts("timesyncd"));
    let bundle = Bundle::of(Manager::Apt, &[clock]);
    root.sh(SLOW_BUILD).await;
    kill_at_gate(&root, &bundle).await;
    Some((root, bundle))
}

#[tokio::test]
async fn what_was_half_repacked_does_not_keep_packages_from_going() {
    let Some((root, _)) = killed_while_it_repacks().await else {
        return;
    };
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["timesyncd 257"]);
}

/// The owner has removed it since.
#[tokio::test]
async fn what_was_half_repacked_and_is_gone_is_forgotten() {
    let Some((root, bundle)) = killed_while_it_repacks().await else {
        return;
    };
    root.sh("dpkg --purge timesyncd").await;
    root.converge(&bundle.install()).await.unwrap();
    let left = root.sh("find /var/lib/kubexm -name 'timesyncd*'").await;
    assert_eq!(left, "");
    root.converge(&RemovePackages).await.unwrap();
    assert!(root.packages().await.is_empty());
}
