//! What coredns is told.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use templates::*;

fn text(template: &impl Template) -> String {
    template.render().unwrap()
}

fn least() -> Corefile {
    Corefile {
        domain: "cluster.local".into(),
        zones: Vec::new(),
        rewrite: String::new(),
        additional: String::new(),
        hosts: String::new(),
        upstream: vec!["/etc/resolv.conf".into()],
    }
}

fn most() -> Corefile {
    Corefile {
        zones: vec![
            ForwardedZone {
                zones: vec!["example.com".into(), "example.io:1053".into()],
                nameservers: vec!["10.0.0.53".into(), "10.0.0.54:5353".into()],
                cache: 5,
                rewrite: vec!["name exact old.example.com new.example.com".into()],
            },
            ForwardedZone {
                zones: vec!["corp.internal".into()],
                nameservers: vec!["2022::53".into()],
                cache: 30,
                rewrite: Vec::new(),
            },
        ],
        rewrite: "rewrite stop {\n    name regex (.*)\\.my\\.domain {1}.svc.cluster.local\n    answer name \
                  (.*)\\.svc\\.cluster\\.local {1}.my.domain\n}\n"
            .into(),
        additional: "log . {\n    class error\n}\n".into(),
        hosts: "# the site's own\n192.168.0.100 hub.example.com www\n2022::100 hub.example.com\n".into(),
        upstream: vec!["10.0.0.1".into(), "10.0.0.2:5353".into()],
        ..least()
    }
}

fn alone() -> Corefile {
    Corefile {
        upstream: Vec::new(),
        ..least()
    }
}

#[test]
fn corefiles() {
    insta::assert_snapshot!("Corefile", text(&least()));
    insta::assert_snapshot!("Corefile-most", text(&most()));
    insta::assert_snapshot!("Corefile-alone", text(&alone()));
}

/// kubeadm's upgrade replaces every Corefile that differs from one of its own in the arguments of `forward` alone.
#[test]
fn kubeadm_takes_no_corefile_of_a_site_for_its_own() {
    let text = text(&least());
    let (_, forward) = text.split_once("forward . ").unwrap();
    let (options, _) = forward.split_once('}').unwrap();
    assert_eq!(
        options
            .lines()
            .skip(1)
            .filter(|line| !line.trim().is_empty())
            .count(),
        2
    );
}

#[test]
fn manifests() {
    let corefile = text(&alone());
    insta::assert_snapshot!("coredns-config.yaml", text(&CorednsConfig { corefile }));
    let mut coredns = CorednsManifest {
        image: "registry.k8s.io/coredns/coredns:v1.14.2".into(),
        addresses: vec!["10.233.0.10".parse().unwrap()],
    };
    insta::assert_snapshot!("coredns.yaml", text(&coredns));
    coredns.addresses.push("fd85::a".parse().unwrap());
    let dual = text(&coredns);
    let wanted =
        "  clusterIPs:\n  - \"10.233.0.10\"\n  - \"fd85::a\"\n  ipFamilyPolicy: RequireDualStack\n";
    assert!(dual.contains(wanted), "{dual}");
}

#[test]
fn the_cache_on_each_node() {
    let local = "169.254.20.10".parse().unwrap();
    let corefile = |most: &Corefile, addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        text(&NodeLocalCorefile {
            zones: most.zones.clone(),
            hosts: most.hosts.clone(),
            addresses: addresses.collect(),
            local,
        })
    };
    let both = ["169.254.20.10", "10.233.0.10"];
    insta::assert_snapshot!("node-local-dns.Corefile", corefile(&most(), &both));
    let manifest = NodeLocalDnsManifest {
        image: "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4".into(),
        corefile: corefile(&least(), &both[..1]),
        addresses: both
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        local,
    };
    insta::assert_snapshot!("node-local-dns.yaml", text(&manifest));
    insta::assert_snapshot!("node-local-dns-upstream.yaml", text(&NodeLocalUpstream {}));
}

/// coredns with one of them, but for the plugin that asks an apiserver, for there is none, and on ports that are free.
struct Coredns {
    process: Child,
    port: u16,
    /// It would end where nobody listened to it.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Coredns {
    fn start(corefile: &Corefile) -> Self {
        let programs = std::env::var_os("KUBEXM_LAB_KUBE").map(PathBuf::from);
        let programs = programs.expect("KUBEXM_LAB_KUBE names a folder with coredns");
        let [port, nobody] = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        });
        let text = text(corefile);
        let begin = text.find("    kubernetes ").unwrap();
        let end = begin + text[begin..].find("\n    }\n").unwrap() + "\n    }\n".len();
        let text = format!("{}{}", &text[..begin], &text[end..])
            .replace("    health {\n        lameduck 5s\n    }\n    ready\n", "")
            .replace(":9153", "127.0.0.1:0")
            .replace(
                "example.com example.io:1053 {",
                &format!("example.com:{port} example.io:{port} {{"),
            )
            .replace("corp.internal {", &format!("corp.internal:{port} {{"))
            .replace(".:53 {", &format!(".:{port} {{"))
            .replace(":1053", &format!(":{nobody}"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Corefile");
        std::fs::write(&path, &text).unwrap();
        let mut process = Command::new(programs.join("coredns"))
            .arg("-conf")
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let up = said.any(|line| line.unwrap().starts_with("CoreDNS-"));
        assert!(up, "{text}");
        Self {
            process,
            port,
            _said: said,
        }
    }

    /// The status of the answer, and how many addresses are in it.
    fn ask(&self, name: &str) -> (u8, u16) {
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        socket.send(&query).unwrap();
        let mut answer = [0; 512];
        socket.recv(&mut answer).unwrap();
        (answer[3] & 0xf, u16::from_be_bytes([answer[6], answer[7]]))
    }
}

impl Drop for Coredns {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const FOUND: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

#[test]
#[ignore = "needs real Kubernetes: make e2e"]
fn coredns_reads_everything_that_can_be_asked_for() {
    let coredns = Coredns::start(&most());
    assert_eq!(coredns.ask("hub.example.com"), (FOUND, 1));
    assert_eq!(coredns.ask("www"), (FOUND, 1));
}

#[test]
#[ignore = "needs real Kubernetes: make e2e"]
fn where_nobody_can_be_asked_other_names_do_not_exist() {
    let corefile = Corefile {
        hosts: "192.168.0.100 hub.example.org\n".into(),
        ..alone()
    };
    let coredns = Coredns::start(&corefile);
    assert_eq!(coredns.ask("hub.example.org"), (FOUND, 1));
    assert_eq!(coredns.ask("www.example.org"), (NO_SUCH_NAME, 0));
}
