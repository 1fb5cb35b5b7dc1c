//! No service of a package starts while packages are installed, and others do again afterwards.

use std::time::Duration;

use step::{InstallPackages, RemovePackages};

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, When};
use crate::root::Root;

/// Starts a service as scripts of packages do, unless the policy forbids it: when the gate is there, only after a word.
const START: &str = "
if [ -p /run/gate ]; then echo $$ >/run/gate; read word </run/word; fi
policy=/usr/sbin/policy-rc.d
code=0
[ ! -x $policy ] || $policy tool start || code=$?
[ $code = 101 ] || echo tool >>/run/started";

/// The host's own policy, which forbids nothing.
const POLICY: &str = "
printf '#!/bin/sh\n# own\nexit 0\n' >/usr/sbin/policy-rc.d
chmod 750 /usr/sbin/policy-rc.d";

/// The script of `tool` gets its word; waits for whoever is at work with packages.
const GO_ON: &str = "
rm /run/gate
echo >/run/word
while pgrep -x 'apt-get|dpkg' >/dev/null; do :; done
until flock -n /var/lib/kubexm true; do :; done
[ ! -e /run/started ]";

fn tool() -> Bundle {
    let tool = Package::new("tool", "1").runs(When::Installed, START);
    Bundle::of(Manager::Apt, &[tool])
}

/// Does something to the installation while the script of `tool` is at work.
async fn interrupted(what: &str) -> Option<(Root, Bundle)> {
    let root = Root::up(Manager::Apt).await?;
    root.sh(POLICY).await;
    let bundle = tool();
    root.sh(&format!(
        "mkfifo /run/gate /run/word\n{{ read pid </run/gate; {what}; }} >/dev/null 2>&1 &"
    ))
    .await;
    root.converge(&bundle.install()).await.unwrap_err();
    Some((root, bundle))
}

/// The policy's second line.
async fn policy(root: &Root) -> String {
    root.sh("sed -n 2p /usr/sbin/policy-rc.d").await
}

const OWN: &str = "# own";
const OURS: &str = "# Put here by kubexm while it installs packages.";

const LOSE_CONNECTION: &str = "pkill -9 -x sshd-session";
const KILL_SCRIPT: &str = "pkill -9 -f '^sh -s -- install'";
const KILL_APT: &str = "pkill -9 -x apt-get";
const KILL_ALL: &str = "kill -9 -$(ps -o pgid= -p $pid | tr -d ' ')";

#[tokio::test]
async fn what_a_lost_connection_leaves_at_work_starts_nothing() {
    let Some((root, bundle)) = interrupted(LOSE_CONNECTION).await else {
        return;
    };
    assert_eq!(policy(&root).await, OURS);
    let at_once = InstallPackages {
        patience: Duration::ZERO,
        ..bundle.install()
    };
    let told = root.refuses(&at_once).await;
    let pid = root.sh("pgrep -o -f '^sh -s -- install'").await;
    insta::assert_snapshot!(told.replace(pid.trim(), "PID"), @r"
    cannot note what will be installed: somebody else is at work with packages here
    /var/lib/kubexm is in use by process PID: sh -s -- install ,timesyncd tool
    hint: wait for it to end, e.g. unattended-upgrades, and run again
    ");
    root.sh(GO_ON).await;
    assert_eq!(policy(&root).await, OWN);
    let reason = root.converge(&bundle.install()).await.unwrap();
    assert_eq!(reason, "an installation was cut short");
    assert_eq!(policy(&root).await, OWN);
    root.sh("[ ! -e /run/started ]").await;
}

/// What is at work has lost whoever would see its end.
async fn the_next_run_sees_the_end(what: &str) {
    let Some((root, bundle)) = interrupted(what).await else {
        return;
    };
    assert_eq!(policy(&root).await, OURS);
    root.sh(GO_ON).await;
    assert_eq!(policy(&root).await, OURS);
    root.converge(&bundle.install()).await.unwrap();
    assert_eq!(root.packages().await, ["tool 1"]);
    assert_eq!(policy(&root).await, OWN);
    root.sh("[ ! -e /run/started ]").await;
}

#[tokio::test]
async fn what_a_killed_script_leaves_at_work_starts_nothing() {
    the_next_run_sees_the_end(KILL_SCRIPT).await;
}

#[tokio::test]
async fn what_a_killed_apt_leaves_at_work_starts_nothing() {
    the_next_run_sees_the_end(KILL_APT).await;
}

#[tokio::test]
async fn removal_after_a_kill_starts_nothing() {
    let Some((root, _)) = interrupted(KILL_ALL).await else {
        return;
    };
    assert_eq!(policy(&root).await, OURS);
    root.sh("rm /run/gate").await;
    root.converge(&RemovePackages).await.unwrap();
    assert!(root.packages().await.is_empty());
    assert_eq!(policy(&root).await, OWN);
    let mode = root.sh("stat -c %a /usr/sbin/policy-rc.d").await;
    assert_eq!(mode, "750");
    root.sh("[ ! -e /run/started ]").await;
}

#[tokio::test]
async fn services_may_start_again_also_where_apt_fails() {
    let Some(root) = Root::up(Manager::Apt).await else {
        return;
    };
    let tool = Package::new("tool", "1").runs(When::Installed, "exit 3");
    let bundle = Bundle::of(Manager::Apt, &[tool]);
    root.converge(&bundle.install()).await.unwrap_err();
    root.sh("[ ! -e /usr/sbin/policy-rc.d ]").await;
}
