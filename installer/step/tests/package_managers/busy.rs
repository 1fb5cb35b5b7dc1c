//! Others are at work with packages.

use std::time::Duration;

use step::InstallPackages;

use crate::bundle::Bundle;
use crate::manager::{Manager, Package};
use crate::root::Root;

/// Who they are, as a process that holds what the tools hold while they work, and puts its number into `/run/other`.
struct Others {
    manager: Manager,
    script: &'static str,
}

/// dpkg and RPM have locks of `fcntl`.
const DPKG: Others = Others {
    manager: Manager::Apt,
    script: "perl /run/lock.pl /var/lib/dpkg/lock-frontend >/dev/null 2>&1 &",
};

const RPM: Others = Others {
    manager: Manager::Dnf,
    script: "perl /run/lock.pl /var/lib/rpm/.rpm.lock >/dev/null 2>&1 &",
};

/// dnf has a file with its number.
const DNF: Others = Others {
    manager: Manager::Dnf,
    script: "sleep 1000 >/dev/null 2>&1 &
        echo $! >/var/lib/dnf/rpmdb_lock.pid
        echo $! >/run/other",
};

const LOCK: &str = r#"
use Fcntl;
open(my $file, "+>>", $ARGV[0]) or die;
my $whole = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLK, $whole) or die;
open(my $note, ">", "/run/other");
print $note $$;
close($note);
sleep(1000);
"#;

impl Others {
    async fn at_work(&self) -> Option<Root> {
        let root = Root::up(self.manager).await?;
        let script = self.script;
        root.sh(&format!(
            "cat >/run/lock.pl <<'EOF'
{LOCK}EOF
{script}
until [ -s /run/other ]; do :; done"
        ))
        .await;
        Some(root)
    }

    async fn are_named(&self) -> Option<String> {
        let root = self.at_work().await?;
        let bundle = Bundle::of(self.manager, &[Package::new("tool", "1")]);
        let step = InstallPackages {
            patience: Duration::ZERO,
            ..bundle.install()
        };
        let told = root.refuses(&step).await;
        let pid = root.sh("cat /run/other").await;
        assert!(root.packages().await.is_empty());
        Some(told.replace(pid.trim(), "PID"))
    }

    async fn are_waited_for(&self) {
        let Some(root) = self.at_work().await else {
            return;
        };
        let bundle = Bundle::of(self.manager, &[Package::new("tool", "1")]);
        let step = bundle.install();
        let they_end = "until pgrep -x -f 'sleep 2'; do :; done; kill $(cat /run/other)";
        let (done, _) = tokio::join!(root.converge(&step), root.sh(they_end));
        done.unwrap();
        assert_eq!(root.packages().await, ["tool 1"]);
    }
}

#[tokio::test]
async fn apt_waits_for_another_dpkg() {
    DPKG.are_waited_for().await;
}

#[tokio::test]
async fn apt_names_another_dpkg() {
    let Some(told) = DPKG.are_named().await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: somebody else is at work with packages here
    dpkg is in use by process PID: perl /run/lock.pl /var/lib/dpkg/lock-frontend
    hint: wait for it to end, e.g. unattended-upgrades, and run again
    ");
}

#[tokio::test]
async fn dnf_waits_for_another_rpm() {
    RPM.are_waited_for().await;
}

#[tokio::test]
async fn dnf_names_another_rpm() {
    let Some(told) = RPM.are_named().await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: somebody else is at work with packages here
    RPM is in use by process PID: perl /run/lock.pl /var/lib/rpm/.rpm.lock
    hint: wait for it to end, e.g. unattended-upgrades, and run again
    ");
}

#[tokio::test]
async fn dnf_waits_for_another_dnf() {
    DNF.are_waited_for().await;
}

#[tokio::test]
async fn dnf_names_another_dnf() {
    let Some(told) = DNF.are_named().await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: somebody else is at work with packages here
    dnf is in use by process PID: sleep 1000
    hint: wait for it to end, e.g. unattended-upgrades, and run again
    ");
}
