//! What was there before, and what came from others since.

use step::RemovePackages;

use crate::bundle::Bundle;
use crate::manager::{Manager, Package, Relation};
use crate::root::Root;

/// `tool` cannot be beside `rival`, which the host has.
async fn rival_stays(manager: Manager) -> Option<String> {
    let root = Root::up(manager).await?;
    root.has(&[Package::new("rival", "1")]).await;
    let tool = Package::new("tool", "1").that(Relation::Conflicts("rival"));
    let bundle = Bundle::of(manager, &[tool]);
    let told = root.refuses(&bundle.install()).await;
    assert_eq!(root.packages().await, ["rival 1"]);
    Some(told)
}

#[tokio::test]
async fn apt_removes_nothing_to_make_room() {
    let Some(told) = rival_stays(Manager::Apt).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: apt would remove rival, which is in the way of what is to be installed
    hint: remove it by hand if nobody needs it, or do without what it is in the way of
    ");
}

#[tokio::test]
async fn dnf_removes_nothing_to_make_room() {
    let Some(told) = rival_stays(Manager::Dnf).await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: Problem: package tool-1-1.noarch from kubexm conflicts with rival provided by rival-1-1.noarch from @System
      - conflicting requests
      - problem with installed package rival-1-1.noarch
    hint: remove it by hand if nobody needs it, or do without what it is in the way of
    ");
}

/// As the time daemon of Debian is when chrony comes.
#[tokio::test]
async fn the_replaceable_comes_back_as_it_was() {
    let Some(root) = Root::up(Manager::Apt).await else {
        return;
    };
    let timesyncd = Package::new("timesyncd", "257")
        .with_settings("/etc/timesyncd.conf", "[Time]\n")
        .with_file("/usr/lib/systemd/timesyncd", "program");
    root.has(&[timesyncd]).await;
    root.sh("echo NTP=192.0.2.1 >>/etc/timesyncd.conf; apt-mark auto timesyncd")
        .await;
    let before = root.everything().await;
    let clock = Package::new("clock", "4").that(Relation::Conflicts("timesyncd"));
    let bundle = Bundle::of(Manager::Apt, &[clock]);

    root.converge(&bundle.install()).await.unwrap();
    let packages = root.packages().await;
    assert_eq!(packages, ["clock 4", "timesyncd 257 config-files"]);
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["timesyncd 257"]);
    let now = root.everything().await;
    let changed: Vec<&String> = before.symmetric_difference(&now).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    let settings = root.sh("cat /etc/timesyncd.conf").await;
    assert_eq!(settings, "[Time]\nNTP=192.0.2.1");
    let auto = root.sh("apt-mark showauto timesyncd").await;
    assert_eq!(auto, "timesyncd");
}

/// The owner has a newer one by now, in place of ours.
#[tokio::test]
async fn the_replaceable_stays_that_is_back_already() {
    let Some(root) = Root::up(Manager::Apt).await else {
        return;
    };
    root.has(&[Package::new("timesyncd", "257")]).await;
    let clock = Package::new("clock", "4").that(Relation::Conflicts("timesyncd"));
    let bundle = Bundle::of(Manager::Apt, &[clock]);
    root.converge(&bundle.install()).await.unwrap();
    root.sh("dpkg --purge clock").await;
    root.has(&[Package::new("timesyncd", "258")]).await;
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["timesyncd 258"]);
}

/// The user had `tool` once and has kept its settings; the `lib` that it needs is new.
#[tokio::test]
async fn settings_of_an_earlier_removal_stay() {
    let Some(root) = Root::up(Manager::Apt).await else {
        return;
    };
    let tool = Package::new("tool", "1").with_settings("/etc/tool.conf", "a = 1\n");
    root.has(std::slice::from_ref(&tool)).await;
    root.sh("echo a = 2 >/etc/tool.conf; dpkg --remove tool")
        .await;
    let needy = tool.that(Relation::Needs("lib"));
    let bundle = Bundle::of(Manager::Apt, &[needy, Package::new("lib", "1")]);
    root.converge(&bundle.install()).await.unwrap();
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["tool 1 config-files"]);
    assert_eq!(root.sh("cat /etc/tool.conf").await, "a = 2");
}

/// `tool` needs a newer `lib` than the host has. Of `other` it has an older one, too, which will do.
async fn only_what_must_be_is_upgraded(manager: Manager) {
    let Some(root) = Root::up(manager).await else {
        return;
    };
    root.has(&[Package::new("lib", "1"), Package::new("other", "1")])
        .await;
    let tool = Package::new("tool", "1")
        .that(Relation::NeedsAtLeast("lib", "2"))
        .that(Relation::Needs("other"));
    let carried = [tool, Package::new("lib", "2"), Package::new("other", "2")];
    let bundle = Bundle::of(manager, &carried);
    root.converge(&bundle.install()).await.unwrap();
    assert_eq!(root.packages().await, ["lib 2", "other 1", "tool 1"]);
    root.converge(&RemovePackages).await.unwrap();
    assert_eq!(root.packages().await, ["lib 2", "other 1"]);
}

#[tokio::test]
async fn apt_upgrades_only_what_must_be() {
    only_what_must_be_is_upgraded(Manager::Apt).await;
}

#[tokio::test]
async fn dnf_upgrades_only_what_must_be() {
    only_what_must_be_is_upgraded(Manager::Dnf).await;
}

/// The user had `lib` before, and has installed `mine` since, which needs our `helper`.
async fn what_others_need_stays(manager: Manager) {
    let Some(root) = Root::up(manager).await else {
        return;
    };
    root.has(&[Package::new("lib", "1")]).await;
    let tool = Package::new("tool", "1")
        .that(Relation::Needs("lib"))
        .that(Relation::Needs("helper"));
    let helper = Package::new("helper", "1").that(Relation::Needs("ground"));
    let carried = [
        tool,
        helper,
        Package::new("lib", "1"),
        Package::new("ground", "1"),
    ];
    let bundle = Bundle::of(manager, &carried);
    root.converge(&bundle.install()).await.unwrap();
    root.has(&[Package::new("mine", "1").that(Relation::Needs("helper"))])
        .await;
    let reason = root.converge(&RemovePackages).await.unwrap();
    assert_eq!(reason, "kubexm installed 3 packages");
    assert_eq!(
        root.packages().await,
        ["ground 1", "helper 1", "lib 1", "mine 1"]
    );
}

#[tokio::test]
async fn apt_leaves_what_others_need() {
    what_others_need_stays(Manager::Apt).await;
}

#[tokio::test]
async fn dnf_leaves_what_others_need() {
    what_others_need_stays(Manager::Dnf).await;
}

/// `tool` needs a newer `lib`, and the host's owner wants the one that is there.
async fn the_owner_holds(manager: Manager, hold: &str) -> Option<String> {
    let root = Root::up(manager).await?;
    root.has(&[Package::new("lib", "1")]).await;
    root.sh(hold).await;
    let tool = Package::new("tool", "1").that(Relation::NeedsAtLeast("lib", "2"));
    let bundle = Bundle::of(manager, &[tool, Package::new("lib", "2")]);
    let told = root.refuses(&bundle.install()).await;
    assert_eq!(root.packages().await, ["lib 1"]);
    Some(told)
}

#[tokio::test]
async fn apt_obeys_a_hold() {
    let Some(told) = the_owner_holds(Manager::Apt, "apt-mark hold lib").await else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: E: Unable to correct problems, you have held broken packages.
    E: The following information from --solver 3.0 may provide additional context:
       Unable to satisfy dependencies. Reached two conflicting decisions:
       1. tool:amd64=1 is selected for install
       2. tool:amd64 Depends lib (>= 2)
          but none of the choices are installable:
          - lib:amd64=2 is not selected for install because:
            1. lib:amd64=1 is selected for install
    hint: on hold is lib: let it be upgraded with `apt-mark unhold lib`, and run again
    ");
}

#[tokio::test]
async fn dnf_obeys_an_exclude() {
    let Some(told) = the_owner_holds(Manager::Dnf, "echo exclude=lib >>/etc/dnf/dnf.conf").await
    else {
        return;
    };
    insta::assert_snapshot!(told, @r"
    cannot install packages: Problem: package tool-1-1.noarch from kubexm requires lib >= 2, but none of the providers can be installed
      - conflicting requests
      - package lib-2-1.noarch from kubexm is filtered out by exclude filtering
    hint: dnf's own settings on the host exclude it: see excludepkgs and exclude in /etc/dnf/dnf.conf
    ");
}
