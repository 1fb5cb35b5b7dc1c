//! Plans of hosts that go, as people read them, and what is refused.

mod common;

use std::time::Duration;

use artifact::Tree;
use cluster::{Cluster, Role};
use common::{complete, config};
use pipeline::{
    Data, Departure, Draining, LocalData, Part, Parting, PipelineError, Reach, Restarting, Site,
    added, delete_nodes, restart,
};

fn departure(hosts: &[&str]) -> Departure {
    Departure {
        hosts: hosts.iter().map(|name| (*name).to_owned()).collect(),
        roles: Vec::new(),
        reach: Reach::Alive,
        data: Data::Purge,
        drain_timeout: Duration::from_mins(5),
        local: LocalData::Refuse,
    }
}

fn site(cluster: Cluster) -> Site {
    let contents = complete(&cluster);
    let tree = Tree::at(format!("/srv/.kubexm/{}", cluster.name()));
    Site::new(cluster, contents, tree, None)
}

/// The plan up to where all that follows is an install of those who stay.
fn plan(text: &str, departure: &Departure) -> String {
    let applied = config(text);
    let Parting { before, after } = departure.of(&applied, &applied, &[]).unwrap();
    let graph = delete_nodes(&site(before), &site(after), departure).unwrap();
    let tree = graph.tree();
    let end = tree.find("\nprepare").unwrap();
    let given_back = tree.find("\ngiven back").map_or("", |at| &tree[at..]);
    format!("{}{given_back}", &tree[..end])
}

fn refusal(text: &str, departure: &Departure) -> String {
    let applied = config(text);
    match departure.of(&applied, &applied, &[]) {
        Ok(_) => "goes".to_owned(),
        Err(error) => error.to_string(),
    }
}

const PLAIN: &str = include_str!("../../../examples/three-etcd.yaml");
const STACKED: &str = include_str!("../../../examples/stacked-etcd.yaml");

#[test]
fn hosts_that_go_as_plans() {
    insta::assert_snapshot!("delete-worker", plan(PLAIN, &departure(&["worker1"])));
    insta::assert_snapshot!("delete-first-master", plan(PLAIN, &departure(&["node1"])));
    insta::assert_snapshot!(
        "delete-stacked-master",
        plan(STACKED, &departure(&["master1"]))
    );
    let dead = Departure {
        reach: Reach::Dead,
        ..departure(&["master1"])
    };
    insta::assert_snapshot!("delete-dead-master", plan(STACKED, &dead));
    let role = Departure {
        roles: vec![Role::Etcd],
        ..departure(&["node3"])
    };
    insta::assert_snapshot!("delete-role-etcd", plan(PLAIN, &role));
}

/// Nothing is sent to a host that is lost, and nobody who stays is asked for what only that one has.
#[test]
fn no_packet_goes_to_the_dead() {
    for (text, name) in [(PLAIN, "node1"), (STACKED, "master1")] {
        let dead = Departure {
            reach: Reach::Dead,
            ..departure(&[name])
        };
        let applied = config(text);
        let Parting { before, after } = dead.of(&applied, &applied, &[]).unwrap();
        let graph = delete_nodes(&site(before), &site(after), &dead).unwrap();
        for node in graph.view() {
            assert_ne!(node.host, name, "{node:?}");
        }
    }
}

/// Of a host that keeps another role, only what nobody needs there any more goes.
#[test]
fn a_role_goes_and_the_host_stays() {
    let role = Departure {
        roles: vec![Role::Etcd],
        ..departure(&["node3"])
    };
    let applied = config(PLAIN);
    let Parting { before, after } = role.of(&applied, &applied, &[]).unwrap();
    assert!(after.is_in("node3", Role::Master) && !after.is_in("node3", Role::Etcd));
    let graph = delete_nodes(&site(before), &site(after), &role).unwrap();
    let back: Vec<String> = graph
        .view()
        .into_iter()
        .filter(|node| node.stage.starts_with("take back"))
        .map(|node| format!("{}: {}", node.host, node.step))
        .collect();
    assert!(
        back.iter().all(|step| step.starts_with("node3: ")),
        "{back:?}"
    );
    let has = |needle: &str| back.iter().any(|step| step.contains(needle));
    assert!(
        has("etcd.service") && has("/etc/etcd/etcd.env") && has("data /var/lib/etcd"),
        "{back:?}"
    );
    for stays in [
        "reset node",
        "leave the host",
        "kubelet",
        "containerd",
        "/etc/kubernetes",
        "/etc/hosts",
    ] {
        assert!(!has(stays), "{stays}: {back:?}");
    }
}

#[test]
fn what_a_cluster_cannot_bear_is_refused_with_what_to_do_instead() {
    let one_master = include_str!("../../../examples/single-node.yaml");
    let only = config(one_master).spec.hosts[0].name.clone();
    insta::assert_snapshot!(refusal(one_master, &departure(&[&only])), @r"
    this cannot go from the cluster:
      node1 is the last master: add another first (kubexm add nodes), or take the whole cluster off its hosts: kubexm delete cluster
      node1 is the last member of etcd: add another first (kubexm add nodes)
    ");
    insta::assert_snapshot!(refusal(PLAIN, &departure(&["registry1"])), @r"
    this cannot go from the cluster:
      registry1 is the only registry: name another host under roleGroups.registry and run kubexm install: the new one is filled before the old one goes
    ");
    insta::assert_snapshot!(refusal(PLAIN, &departure(&["nobody"])), @r"
    this cannot go from the cluster:
      nobody is no host of the cluster, which has registry1, node1, node2, node3, worker1
    ");
    let masters = Departure {
        roles: vec![Role::Master],
        ..departure(&["worker1"])
    };
    insta::assert_snapshot!(refusal(PLAIN, &masters), @r"
    this cannot go from the cluster:
      worker1 has no role master
    ");
}

/// The secrets of the config applied last are in no file: they come from the config that is given.
#[test]
fn logins_are_those_of_the_config_and_all_else_is_as_it_was_applied() {
    let applied = config(PLAIN);
    let given = config(&PLAIN.replace("version: v1.34.2", "version: v1.34.1"));
    let parting = departure(&["worker1"]).of(&applied, &given, &[]).unwrap();
    assert_eq!(parting.after.spec.kubernetes, applied.spec.kubernetes);
    assert!(parting.before.host("worker1").is_some());
    assert!(parting.after.host("worker1").is_none());
}

/// One that was taken out while it was down is known by the config of then.
#[test]
fn one_that_is_out_already_is_given_back_by_the_config_of_then() {
    let then = config(PLAIN);
    let now = then.without(&["node3".to_owned()]);
    let back = departure(&["node3"]);
    assert!(matches!(
        back.of(&now, &now, &[]),
        Err(PipelineError::Parting(_))
    ));
    let known = [("node3".to_owned(), then.clone())];
    let Parting { before, after } = back.of(&now, &now, &known).unwrap();
    assert_eq!(before.roles_of("node3"), then.roles_of("node3"));
    assert_eq!(
        after.hosts_in(Role::Etcd).len(),
        now.hosts_in(Role::Etcd).len()
    );
}

#[test]
fn what_is_added_is_named_and_other_changes_are_refused() {
    let now = config(PLAIN);
    let before = now.without(&["worker1".to_owned()]);
    assert_eq!(added(&before, &now).unwrap(), ["worker1"]);
    assert!(added(&now, &now).unwrap().is_empty());
    let roles = now.without_roles(&["node3".to_owned()], &[Role::Etcd]);
    assert_eq!(added(&roles, &now).unwrap(), ["node3"]);
    let other = config(&PLAIN.replace("version: v1.34.2", "version: v1.34.1"));
    insta::assert_snapshot!(added(&before, &other).unwrap_err(), @r"
    the config is another than the one applied last, and this is not what was asked for:
      spec.kubernetes.version
    ");
    insta::assert_snapshot!(added(&now, &before).unwrap_err(), @r"
    the config is another than the one applied last, and this is not what was asked for:
      worker1 is out of it: kubexm delete node worker1
    ");
}

/// What is asked for by a restart, and all else is an install of what is there.
fn restarted(text: &str, part: Part, names: &[&str], how: Restarting) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let applied = site(config(text));
    match restart(&site(config(text)), &applied, part, &names, how) {
        Ok(graph) => {
            let tree = graph.tree();
            tree[..tree.find("\nprepare").unwrap()].to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn restarts_as_plans() {
    let hosts = Restarting::Hosts(Draining {
        timeout: Duration::from_mins(5),
        local: LocalData::RefuseFleeting,
    });
    let services = Restarting::Services;
    insta::assert_snapshot!(
        "restart-cluster",
        restarted(PLAIN, Part::Cluster, &[], services)
    );
    insta::assert_snapshot!(
        "restart-stacked",
        restarted(STACKED, Part::Cluster, &[], services)
    );
    insta::assert_snapshot!(
        "reboot-nodes",
        restarted(PLAIN, Part::Nodes, &["node1", "worker1"], hosts)
    );
    insta::assert_snapshot!(
        "reboot-stacked",
        restarted(STACKED, Part::ControlPlane, &["master2"], hosts)
    );
    let strange = restarted(PLAIN, Part::Etcd, &["worker1"], services);
    insta::assert_snapshot!(strange, @r"
    this cannot be restarted:
      worker1 has nothing of it; there are node1, node2, node3
    ");
}

/// Nothing else is changed by the way.
#[test]
fn a_config_that_was_not_applied_is_not_restarted() {
    let applied = site(config(PLAIN));
    let other = PLAIN.replace("version: v1.34.2", "version: v1.34.1");
    let refused = restart(
        &site(config(&other)),
        &applied,
        Part::Etcd,
        &[],
        Restarting::Services,
    );
    let error = refused.err().unwrap();
    assert!(
        matches!(&error, PipelineError::Changed(keys) if keys == &["spec.kubernetes.version"]),
        "{error}"
    );
}

/// A member that is dead counts in etcd as long as it is listed: whoever else is down does not keep it there.
#[tokio::test]
async fn a_host_that_is_down_keeps_no_dead_member_in_etcd() {
    for (text, name) in [(PLAIN, "node2"), (STACKED, "master2")] {
        let dead = Departure {
            reach: Reach::Dead,
            ..departure(&[name])
        };
        let applied = config(text);
        let Parting { before, after } = dead.of(&applied, &applied, &[]).unwrap();
        let graph = delete_nodes(&site(before), &site(after), &dead).unwrap();
        let done = graph.without("worker1").await;
        for stage in ["leave etcd", "forget"] {
            let all = graph.view().into_iter();
            let all: Vec<usize> = all
                .filter(|node| node.stage == stage)
                .map(|node| node.id)
                .collect();
            assert!(!all.is_empty(), "{stage}");
            let done: Vec<usize> = done.iter().map(|node| node.id).collect();
            assert!(all.iter().all(|id| done.contains(id)), "{stage} of {name}");
        }
    }
}
