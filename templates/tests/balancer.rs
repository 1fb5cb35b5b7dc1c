//! The load balancers' files, as goldens and judged by the programs that read them.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use templates::*;

fn text(template: &impl Template) -> String {
    template.render().unwrap()
}

fn balancer(home: BalancerHome, listen: &[&str], ca_file: &str) -> Balancer {
    Balancer {
        home,
        listen: listen.iter().map(|ip| ip.parse().unwrap()).collect(),
        port: 16443,
        backends: vec![
            Backend {
                name: "node1".into(),
                address: "172.16.0.11:16443".into(),
            },
            Backend {
                name: "node2".into(),
                address: "[2022::12]:16443".into(),
            },
        ],
        ca_file: ca_file.into(),
        health_port: 10242,
    }
}

fn haproxy(home: BalancerHome, listen: &[&str], ca_file: &str) -> HaproxyConfig {
    HaproxyConfig {
        balancer: balancer(home, listen, ca_file),
    }
}

fn nginx(home: BalancerHome, listen: &[&str], ca: &str) -> NginxConfig {
    NginxConfig {
        balancer: balancer(home, listen, ca),
        server_name: "lb.kubexm.local".into(),
    }
}

const ALL: &[&str] = &["0.0.0.0", "::"];
const LOOPBACK: &[&str] = &["127.0.0.1", "::1"];

#[test]
fn configurations() {
    let ca = "/etc/haproxy/kubexm-ca.crt";
    insta::assert_snapshot!(
        "haproxy-host.cfg",
        text(&haproxy(BalancerHome::Host, ALL, ca))
    );
    let ca = "/etc/kubexm/load-balancer/ca.crt";
    insta::assert_snapshot!(
        "haproxy-pod.cfg",
        text(&haproxy(BalancerHome::Pod, LOOPBACK, ca))
    );
    let pod = nginx(BalancerHome::Pod, LOOPBACK, ca);
    insta::assert_snapshot!("nginx-pod.conf", text(&pod));
    let host = nginx(BalancerHome::Host, ALL, "/etc/nginx/kubexm-ca.crt");
    insta::assert_snapshot!("nginx-host.conf", text(&host));
    insta::assert_snapshot!(
        "balancer-check.sh",
        text(&BalancerCheck { health_port: 10242 })
    );
}

fn keepalived(check: &str) -> KeepalivedConfig {
    KeepalivedConfig {
        name: "lb1".into(),
        interface: "eth0".into(),
        router_id: 77,
        priority: 102,
        penalty: 60,
        password: Some("Xy3kQ9Zb".into()),
        source: "172.16.0.21".parse().unwrap(),
        peers: vec!["172.16.0.22".parse().unwrap()],
        addresses: vec!["172.16.0.100/32".into()],
        further_addresses: vec!["2022::100/128".into()],
        check: check.into(),
    }
}

fn keepalived_alone_on_v6(check: &str) -> KeepalivedConfig {
    KeepalivedConfig {
        password: None,
        source: "2022::21".parse().unwrap(),
        peers: Vec::new(),
        addresses: vec!["2022::100/128".into()],
        further_addresses: Vec::new(),
        ..keepalived(check)
    }
}

#[test]
fn keepalived_files() {
    let check = "/usr/libexec/keepalived/kubexm-check";
    insta::assert_snapshot!("keepalived.conf", text(&keepalived(check)));
    insta::assert_snapshot!("keepalived-v6.conf", text(&keepalived_alone_on_v6(check)));
}

#[test]
fn pods() {
    let pod = |program, image: &str, config: &str| BalancerPod {
        program,
        image: image.into(),
        dir: "/etc/kubexm/load-balancer".into(),
        config: format!("/etc/kubexm/load-balancer/{config}"),
        digest: "0a1b2c".into(),
        health_port: 10242,
    };
    let haproxy = pod(
        BalancerProgram::Haproxy,
        "docker.io/library/haproxy:3.2.7",
        "haproxy.cfg",
    );
    insta::assert_snapshot!("haproxy-pod.yaml", text(&haproxy));
    let nginx = pod(
        BalancerProgram::Nginx,
        "docker.io/library/nginx:1.28.0",
        "nginx.conf",
    );
    insta::assert_snapshot!("nginx-pod.yaml", text(&nginx));
    let vip = KubeVipPod {
        image: "ghcr.io/kube-vip/kube-vip:v1.0.1".into(),
        interface: "eth0".into(),
        addresses: vec![
            "172.16.0.100".parse().unwrap(),
            "2022::100".parse().unwrap(),
        ],
        port: 6443,
        node: "node1".into(),
        kubeconfig: "/etc/kubernetes/kube-vip.conf".into(),
        digest: "0a1b2c".into(),
    };
    insta::assert_snapshot!("kube-vip.yaml", text(&vip));
    let v6 = KubeVipPod {
        addresses: vec!["2022::100".parse().unwrap()],
        ..vip
    };
    assert!(text(&v6).contains(r#"{name: vip_subnet, value: "128"}"#));
    let user = "kubexm:kube-vip".to_owned();
    insta::assert_snapshot!("kube-vip-role.yaml", text(&KubeVipRole { user }));
}

/// What the programs themselves say of a file.
fn judged(dir: &Path, name: &str, text: &str, argv: &[&str]) {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .arg(&path)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", argv[0]));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}\n{text}", output.status);
    let said = said.to_lowercase();
    assert!(
        !said.contains("warning") && !said.contains("[warn]"),
        "{said}"
    );
}

/// Any certificate will do for an authority.
const CA: &str = include_str!("ca.crt");

#[test]
fn haproxy_takes_its_configuration() {
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca.crt");
    fs::write(&ca, CA).unwrap();
    let ca = ca.to_str().unwrap();
    let check = ["/usr/sbin/haproxy", "-c", "-f"];
    for config in [
        haproxy(BalancerHome::Host, ALL, ca),
        haproxy(BalancerHome::Pod, LOOPBACK, ca),
    ] {
        judged(dir.path(), "haproxy.cfg", &text(&config), &check);
    }
}

#[test]
fn nginx_takes_its_configuration() {
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca.crt");
    fs::write(&ca, CA).unwrap();
    let ca = ca.to_str().unwrap();
    let check = ["/usr/sbin/nginx", "-t", "-c"];
    for config in [
        nginx(BalancerHome::Host, ALL, ca),
        nginx(BalancerHome::Pod, LOOPBACK, ca),
    ] {
        judged(dir.path(), "nginx.conf", &text(&config), &check);
    }
}

/// What VRRP asks of an interface where there are no peers.
fn multicasts(interface: &str) -> bool {
    let flags = fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let flags = flags.unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|flags| flags & 0x1000 != 0)
}

#[test]
fn keepalived_takes_its_configuration() {
    let dir = TempDir::new().unwrap();
    let program = dir.path().join("check");
    fs::write(&program, text(&BalancerCheck { health_port: 10242 })).unwrap();
    let check = ["/usr/sbin/keepalived", "-t", "-f"];
    // Script and interface must be there; VRRP has no use for the loopback.
    let names = fs::read_dir("/sys/class/net").unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let interface = names.find(|name| name != "lo" && multicasts(name));
    let Some(interface) = interface else {
        eprintln!("skipped: there is no interface but the loopback");
        return;
    };
    for mut config in [keepalived("/bin/true"), keepalived_alone_on_v6("/bin/true")] {
        config.interface.clone_from(&interface);
        judged(dir.path(), "keepalived.conf", &text(&config), &check);
    }
    let shell = Command::new("bash").arg("-n").arg(&program).status();
    assert!(shell.unwrap().success());
}
