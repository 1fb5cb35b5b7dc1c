//! What is asked of hosts and of the cluster for the pods' network, and what of it is taken away again.

use std::process::Command;
use std::sync::{Arc, Mutex};

use engine::{Cx, Data, Slot, State, Step};
use event::Progress;
use host::fake::FakeHost;
use step::{
    AskNodeNetworks, FindLink, Link, LinkProgram, Neighbour, NodeNetwork, PodNetwork,
    PodNetworkTraces, Requirements, Survey, SurveyHost,
};

const LINKS: &str = "\
1: lo    inet 127.0.0.1/8 scope host lo
2: eth0    inet 172.16.0.1/24 brd 172.16.0.255 scope global eth0
2: eth0    inet6 2022::1/64 scope global
eth0 mtu 1450
lo mtu 65536
";

fn on(host: FakeHost) -> Cx {
    Cx::new(Arc::new(host), Progress::unseen())
}

fn with_links() -> FakeHost {
    FakeHost::new("node1").on("ip -o addr", 0, LINKS)
}

#[tokio::test]
async fn the_interface_of_an_address_is_found_with_its_mtu() {
    let link = Slot::new("node1");
    let find = |address: &str| FindLink {
        address: address.parse().unwrap(),
        link: link.clone(),
    };
    let error = find("172.16.0.9").check(&on(with_links())).await;
    insta::assert_snapshot!(error.unwrap_err(), @"no interface has the address 172.16.0.9");
    find("172.16.0.1").check(&on(with_links())).await.unwrap();
    let Link { interface, mtu, .. } = link.get().unwrap();
    assert_eq!((interface.as_str(), *mtu), ("eth0", 1450));
}

async fn distant(neighbours: &[(&str, &str)]) -> Vec<String> {
    let survey: Slot<Survey> = Slot::new("node1");
    let neighbours = neighbours.iter().map(|(name, address)| Neighbour {
        name: (*name).to_owned(),
        address: address.parse().unwrap(),
    });
    let step = SurveyHost {
        without: None,
        requirements: Requirements {
            addresses: vec!["172.16.0.1".parse().unwrap(), "2022::1".parse().unwrap()],
            neighbours: neighbours.collect(),
            ..Requirements::default()
        },
        survey: survey.clone(),
    };
    step.check(&on(with_links())).await.unwrap();
    let findings = survey.get().unwrap().findings.iter();
    findings
        .filter(|finding| finding.what.contains("network"))
        .map(|finding| format!("{}\nfix: {}", finding.what, finding.fix))
        .collect()
}

#[tokio::test]
async fn a_neighbour_beyond_a_router_is_a_finding() {
    let near = [("node2", "172.16.0.2"), ("node2", "2022::2")];
    assert_eq!(distant(&near).await, Vec::<String>::new());
    let far = distant(&[("node2", "172.16.0.2"), ("node3", "172.16.1.3")]).await;
    insta::assert_snapshot!(far.join("\n"), @r"
    node3 (172.16.1.3) is not in its own network (172.16.0.0/24 on eth0, 2022::/64 on eth0)
    fix: network.plugin: bridge routes from node to node without a router between; take calico or flannel
    ");
}

fn node(name: &str, share: &str) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}"}},"spec":{{{share}}},"status":{{"addresses":[
            {{"type":"InternalIP","address":"172.16.0.1"}},{{"type":"InternalIP","address":"2022::1"}},
            {{"type":"Hostname","address":"{name}"}}]}}}}"#
    )
}

/// Which nodes have joined, and what the cluster says of them.
async fn asked(joined: &[&str], nodes: &[String]) -> (State, Slot<Vec<NodeNetwork>>) {
    let networks = Slot::new("networks");
    let slots = ["node1", "node2"].map(|name| {
        let slot = Slot::new(name);
        if joined.contains(&name) {
            slot.fill(Link {
                interface: "eth0".into(),
                address: "172.16.0.1/24".parse().unwrap(),
                mtu: 1500,
            });
        }
        (name.to_owned(), slot)
    });
    let ask = AskNodeNetworks {
        nodes: slots.into(),
        families: 2,
        networks: networks.clone(),
    };
    let answer = format!(r#"{{"items":[{}]}}"#, nodes.join(","));
    let master = on(FakeHost::new("node1").on("nodes", 0, answer));
    (ask.check(&master).await.unwrap(), networks)
}

#[tokio::test]
async fn a_node_that_is_on_its_way_is_waited_for() {
    let share = r#""podCIDRs":["10.233.1.0/24","fd85::100/120"]"#;
    let all = [node("node1", share), node("node2", "")];
    let (state, networks) = asked(&["node1", "node2"], &all).await;
    assert_eq!(state, State::needed("node2 has none yet"));
    assert!(networks.get().is_none());
    let (state, _) = asked(&["node1", "node2"], &all[..1]).await;
    assert_eq!(state, State::needed("node2 has none yet"));

    let (state, networks) = asked(&["node1"], &all[..1]).await;
    assert_eq!(
        state,
        State::Satisfied,
        "nobody waits for a host that failed"
    );
    let expected = NodeNetwork {
        name: "node1".into(),
        pods: vec![
            "10.233.1.0/24".parse().unwrap(),
            "fd85::100/120".parse().unwrap(),
        ],
        addresses: vec!["172.16.0.1".parse().unwrap(), "2022::1".parse().unwrap()],
    };
    assert_eq!(networks.get(), Some(&vec![expected]));
}

/// What the step would have a host's shell do.
async fn script_of(step: &dyn Step) -> String {
    let ran = Arc::new(Mutex::new(String::new()));
    let seen = ran.clone();
    let host = FakeHost::new("node1").on_command(move |command, _| {
        command.text().clone_into(&mut seen.lock().unwrap());
        None
    });
    step.apply(&on(host)).await.unwrap();
    ran.lock().unwrap().clone()
}

#[tokio::test]
async fn what_pods_left_is_removed_and_what_others_made_stays() {
    let dir = tempfile::tempdir().unwrap();
    let leases: &'static str = Box::leak(format!("{}/lea*", dir.path().display()).into());
    let own: [&'static str; 1] = [leases];
    let traces = PodNetworkTraces {
        name: "bridge",
        paths: Box::leak(Box::new(own)),
        links: &["kube*"],
        protocols: &["144"],
        through: &["peer0"],
        rules: &["kubexm-pods"],
    };
    let pods = vec!["10.9.0.0/16".parse().unwrap()];
    let network = PodNetwork { traces, pods };
    let remove = network.counterpart(Data::Keep).unwrap();
    let script = script_of(&*remove).await;
    for name in ["leases", "other"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let before = "set -e; ip link set lo up
        ip link add eth0 type veth peer name peer0; ip link set eth0 up; ip link set peer0 up
        ip link add kubexm0 type veth peer name kubexm1; ip addr add 172.16.0.1/24 dev eth0
        ip route add 10.9.0.0/24 via 172.16.0.9 proto 144; ip route add 10.8.0.0/24 dev lo
        ip route add blackhole 10.9.1.0/26 proto 144; ip route add 10.6.0.0/24 dev peer0 proto 144
        # A routing daemon of the site's own bears the same mark.
        ip route add 10.7.0.0/24 via 172.16.0.8 proto 144; ip route add 10.0.0.0/8 via 172.16.0.8 proto 144
        iptables -A FORWARD -s 10.9.0.0/24 -m comment --comment kubexm-pods -j ACCEPT
        iptables -A FORWARD -s 10.8.0.0/24 -j ACCEPT";
    let after =
        "set -e; ip -o link show type veth | cut -d' ' -f2; ip -4 route show; iptables -S FORWARD";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c"])
        .arg(format!("{before}\n{script}\n{after}"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    peer0@eth0:
    eth0@peer0:
    10.0.0.0/8 via 172.16.0.8 dev eth0 proto 144
    10.7.0.0/24 via 172.16.0.8 dev eth0 proto 144
    10.8.0.0/24 dev lo scope link
    172.16.0.0/24 dev eth0 proto kernel scope link src 172.16.0.1
    -P FORWARD ACCEPT
    -A FORWARD -s 10.8.0.0/24 -j ACCEPT
    ");
    assert!(!dir.path().join("leases").exists() && dir.path().join("other").exists());
}

#[tokio::test]
async fn a_program_gets_another_name_and_loses_it() {
    let link = LinkProgram {
        path: "/usr/local/bin/kubectl-calico".into(),
        target: "calicoctl",
    };
    let state = |answer: &str| on(FakeHost::new("node1").on("readlink", 0, answer));
    let satisfied = link.check(&state("calicoctl\n")).await.unwrap();
    assert_eq!(satisfied, State::Satisfied);
    let other = link.check(&state("elsewhere\n")).await.unwrap();
    assert_eq!(other, State::needed("leads to elsewhere"));
    let unlink = link.counterpart(Data::Keep).unwrap();
    assert_eq!(unlink.describe(), "remove /usr/local/bin/kubectl-calico");
}
