//! The files of the network plugins: as text, and as what really happens where they are run.

use std::io::Write as _;
use std::process::{Command, Output};

use templates::*;

fn text(template: &impl Template) -> String {
    template.render().unwrap()
}

fn route(network: &str, via: &str) -> PodRoute {
    PodRoute {
        network: network.into(),
        via: via.parse().unwrap(),
    }
}

/// The routes of one of several nodes; a node is its number, which is in all of its addresses.
fn routes(others: &[u8]) -> PodRoutes {
    let v4 = |n: &u8| route(&format!("10.233.{n}.0/24"), &format!("172.16.0.{n}"));
    let v6 = |n: &u8| route(&format!("fd85:ee78::{n}00/120"), &format!("2022::{n}"));
    PodRoutes {
        families: vec![
            PodFamily {
                flag: "-4",
                iptables: "iptables",
                pods: "10.233.0.0/16".into(),
                routes: others.iter().map(v4).collect(),
            },
            PodFamily {
                flag: "-6",
                iptables: "ip6tables",
                pods: "fd85:ee78::/112".into(),
                routes: others.iter().map(v6).collect(),
            },
        ],
    }
}

#[test]
fn bridge_files() {
    let conflist = CniBridge {
        name: "kubexm".into(),
        bridge: "kubexm0".into(),
        mtu: 1450,
        networks: vec!["10.233.1.0/24".into(), "fd85:ee78::100/120".into()],
        default_routes: vec!["0.0.0.0/0", "::/0"],
    };
    let conflist = text(&conflist);
    serde_json::from_str::<serde_json::Value>(&conflist).unwrap();
    insta::assert_snapshot!("cni-bridge.conflist", conflist);
    insta::assert_snapshot!("pod-routes.sh", text(&routes(&[2, 3])));
    let unit = PodRoutesUnit {
        script: "/usr/local/lib/kubexm/routes".into(),
    };
    insta::assert_snapshot!("pod-routes.service", text(&unit));
    insta::assert_snapshot!("networkd.conf", text(&NetworkdRoutes {}));
}

#[test]
fn calico_files() {
    let config = CalicoctlConfig {
        kubeconfig: "/etc/kubernetes/admin.conf".into(),
    };
    insta::assert_snapshot!("calicoctl.cfg", text(&config));
}

fn script(of: &PodRoutes) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text(of).as_bytes()).unwrap();
    file.into_temp_path()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[test]
fn a_shell_reads_the_script() {
    for others in [&[][..], &[2, 3]] {
        let script = script(&routes(others));
        let output = Command::new("sh").arg("-n").arg(&*script).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// Runs these lines of shell in a network of their own, with node 1's addresses on an interface.
fn in_a_network(lines: &str) -> String {
    let prelude = "set -eu
        ip link set lo up; ip link add eth0 type veth peer name peer0; ip link set eth0 up; ip link set peer0 up
        ip addr add 172.16.0.1/24 dev eth0; ip addr add 2022::1/64 dev eth0 nodad
        ip route add 10.99.0.0/24 via 172.16.0.9
        iptables -w -A FORWARD -s 10.99.0.0/24 -j ACCEPT
        show() { ip -4 route show via 172.16.0.0/24; ip -6 route show via 2022::/64
            iptables -w -S FORWARD; iptables -w -t nat -S POSTROUTING
            ip6tables -w -S FORWARD; ip6tables -w -t nat -S POSTROUTING; }\n";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c"])
        .arg(format!("{prelude}{lines}"))
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    said.lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect()
}

#[test]
fn routes_follow_the_nodes_and_what_others_made_stays() {
    let (two, three) = (script(&routes(&[2, 3])), script(&routes(&[3, 4])));
    let (two, three) = (two.display(), three.display());
    let shown = in_a_network(&format!(
        "sh {two} start; sh {two} start; show
         echo '# node 2 is gone, node 4 has come'
         sh {three} start; show
         echo '# stopped, twice'
         sh {three} stop; sh {three} stop; show"
    ));
    insta::assert_snapshot!("pod-routes-in-a-network", shown);
}

#[test]
fn a_node_that_cannot_be_reached_fails_the_start() {
    let script = script(&PodRoutes {
        families: vec![PodFamily {
            flag: "-4",
            iptables: "iptables",
            pods: "10.233.0.0/16".into(),
            routes: vec![route("10.233.2.0/24", "192.0.2.2")],
        }],
    });
    let shown = in_a_network(&format!(
        "if sh {} start; then echo started; else echo failed; fi",
        script.display()
    ));
    assert!(
        shown.contains("failed") && shown.contains("gateway"),
        "{shown}"
    );
}
