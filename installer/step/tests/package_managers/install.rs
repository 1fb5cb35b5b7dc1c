//! They come, they stay, they go, and nobody notices.

use step::RemovePackages;

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, Relation, When};
use crate::root::Root;

/// `tool`, which needs `lib`, brings a user, settings, and a service that would begin at boot.
fn tool() -> [Package; 2] {
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    let tool = Package::new("tool", "1.0")
        .that(Relation::Needs("lib"))
        .with_file("/usr/lib/systemd/system/tool.service", unit)
        .with_settings("/etc/tool.conf", "a = 1\n")
        .runs(When::Installing, "useradd --system tool")
        .runs(When::Installed, "systemctl enable tool.service");
    [tool, Package::new("lib", "2.0")]
}

async fn comes_and_goes(manager: Manager) {
    let Some(root) = Root::up(manager).await else {
        return;
    };
    let bundle = Bundle::of(manager, &tool());
    let step = bundle.install();
    let before = root.everything().await;

    let reason = root.converge(&step).await.unwrap();
    assert_eq!(reason, "lib and 1 more are not installed");
    assert_eq!(root.packages().await, ["lib 2.0", "tool 1.0"]);
    let enabled = "systemctl is-enabled tool.service || true";
    assert_eq!(root.sh(enabled).await.trim(), "disabled");
    let after = root.everything().await;
    let changed: Vec<&String> = before.difference(&after).collect();
    assert!(changed.iter().all(|line| is_of_users(line)), "{changed:#?}");
    assert_eq!(root.converge(&step).await.unwrap(), "satisfied");

    let reason = root.converge(&RemovePackages).await.unwrap();
    assert_eq!(reason, "kubexm installed 2 packages");
    assert!(root.packages().await.is_empty());
    let now = root.everything().await;
    let gone: Vec<&String> = before.difference(&now).collect();
    let left: Vec<&String> = now.difference(&before).collect();
    assert!(
        gone.is_empty() && left.is_empty(),
        "gone: {gone:#?}\nleft: {left:#?}"
    );
}

fn is_of_users(line: &str) -> bool {
    let files = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];
    files
        .iter()
        .any(|file| line.ends_with(&format!(" /etc/{file}")))
}

#[tokio::test]
async fn apt_leaves_the_host_as_it_was() {
    comes_and_goes(Manager::Apt).await;
}

#[tokio::test]
async fn dnf_leaves_the_host_as_it_was() {
    comes_and_goes(Manager::Dnf).await;
}
