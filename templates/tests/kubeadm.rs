//! What kubeadm is told, as it reads it: by goldens, and by kubeadm itself where a folder of programs is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};
use templates::*;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => unreachable!("an object is given"),
    }
}

fn arguments(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

fn component(arguments: &[(&str, &str)]) -> KubeadmComponent {
    KubeadmComponent {
        arguments: self::arguments(arguments),
        volumes: Vec::new(),
    }
}

fn kube_proxy(mode: KubeProxyMode) -> KubeProxy {
    KubeProxy {
        kubeconfig: None,
        hostname_override: None,
        mode,
        cluster_cidr: "10.233.64.0/18".into(),
        feature_gates: BTreeMap::from([("RotateKubeletServerCertificate".into(), true)]),
        settings: map(json!({"conntrack": {"maxPerCore": 0, "min": 0}})),
    }
}

fn node(taints: Option<Vec<NodeTaint>>) -> KubeadmNode {
    KubeadmNode {
        name: "node1".into(),
        cri_socket: "unix:///run/containerd/containerd.sock".into(),
        taints,
        kubelet_args: arguments(&[("node-ip", "172.16.0.2")]),
        ignore_preflight_errors: vec!["SystemVerification".into()],
    }
}

fn endpoint() -> KubeadmEndpoint {
    KubeadmEndpoint {
        advertise_address: "172.16.0.2".into(),
        bind_port: 6443,
    }
}

fn kubeadm(form: KubeadmForm, etcd: KubeadmEtcd) -> Kubeadm {
    Kubeadm {
        form,
        node: node(Some(vec![])),
        endpoint: endpoint(),
        cluster: KubeadmCluster {
            name: "demo".into(),
            version: match form {
                KubeadmForm::V1Beta3 => "v1.30.14".into(),
                KubeadmForm::V1Beta4 => "v1.36.2".into(),
            },
            endpoint: "lb.kubexm.local:6443".into(),
            cert_sans: vec!["lb.kubexm.local".into(), "172.16.0.2".into(), "::1".into()],
            pod_subnet: "10.233.64.0/18".into(),
            service_subnet: "10.233.0.0/18".into(),
            dns_domain: "cluster.local".into(),
            etcd,
            dns_image_tag: Some("v1.13.1".into()),
            api_server: component(&[("bind-address", "0.0.0.0"), ("profiling", "false")]),
            controller_manager: component(&[("allocate-node-cidrs", "true")]),
            scheduler: component(&[("feature-gates", "RotateKubeletServerCertificate=true")]),
        },
        kube_proxy: kube_proxy(KubeProxyMode::Iptables {
            masquerade_all: true,
        }),
        kubelet: KubeadmKubelet {
            cluster_dns: vec!["10.233.0.10".into()],
            cluster_domain: "cluster.local".into(),
            settings: map(json!({"maxPods": 120})),
        },
    }
}

fn external() -> KubeadmEtcd {
    KubeadmEtcd::External {
        endpoints: vec!["https://172.16.0.2:2379".into()],
        tls: Some(KubeadmEtcdTls {
            ca_file: "/etc/kubernetes/pki/etcd/ca.crt".into(),
            client: Some(KubeadmEtcdClient {
                cert_file: "/etc/kubernetes/pki/apiserver-etcd-client.crt".into(),
                key_file: "/etc/kubernetes/pki/apiserver-etcd-client.key".into(),
            }),
        }),
    }
}

fn local() -> KubeadmEtcd {
    KubeadmEtcd::Local {
        data_dir: "/var/lib/etcd".into(),
        image_tag: Some("3.6.5-0".into()),
        arguments: arguments(&[("heartbeat-interval", "250")]),
    }
}

fn join(form: KubeadmForm, endpoint: Option<KubeadmEndpoint>) -> KubeadmJoin {
    KubeadmJoin {
        form,
        node: node(Some(vec![NodeTaint {
            key: "dedicated".into(),
            value: "gpu".into(),
            effect: "NoSchedule".into(),
        }])),
        endpoint,
        apiserver: "172.16.0.2:6443".into(),
        token: "abcdef.0123456789abcdef".into(),
        ca_hash: format!("sha256:{}", "0f".repeat(32)),
    }
}

/// Every document that kubeadm is given, by the form it has.
fn documents(form: KubeadmForm) -> Vec<(&'static str, String)> {
    let dual = {
        let mut dual = kubeadm(form, external());
        dual.node.taints = None;
        dual.node.kubelet_args = arguments(&[("node-ip", "172.16.0.2,2022::2")]);
        dual.cluster.pod_subnet = "10.233.64.0/18,fd85::/112".into();
        dual.cluster.service_subnet = "10.233.0.0/18,fd86::/112".into();
        dual.cluster.controller_manager = component(&[
            ("allocate-node-cidrs", "true"),
            ("node-cidr-mask-size-ipv4", "24"),
            ("node-cidr-mask-size-ipv6", "120"),
        ]);
        dual.kube_proxy = kube_proxy(KubeProxyMode::Ipvs {
            masquerade_all: false,
            strict_arp: true,
        });
        dual.kube_proxy
            .cluster_cidr
            .clone_from(&dual.cluster.pod_subnet);
        dual
    };
    let audited = {
        let mut audited = kubeadm(form, local());
        let volume = |name: &str, path: &str, read_only, path_type| KubeadmVolume {
            name: name.into(),
            host_path: path.into(),
            mount_path: path.into(),
            read_only,
            path_type,
        };
        audited.cluster.api_server = KubeadmComponent {
            arguments: arguments(&[
                ("audit-log-path", "/var/log/kubernetes/audit.log"),
                ("audit-policy-file", "/etc/audit/policy.yaml"),
            ]),
            volumes: vec![
                volume("policy", "/etc/audit/policy.yaml", true, Some("File")),
                volume("log", "/var/log/kubernetes", false, None),
            ],
        };
        audited
    };
    vec![
        ("volumes", audited.render().unwrap()),
        ("external", kubeadm(form, external()).render().unwrap()),
        ("stacked", kubeadm(form, local()).render().unwrap()),
        ("dual-stack", dual.render().unwrap()),
        ("join-worker", join(form, None).render().unwrap()),
        (
            "join-master",
            join(form, Some(endpoint())).render().unwrap(),
        ),
    ]
}

#[test]
fn kubeadm_files() {
    for (form, name) in [
        (KubeadmForm::V1Beta3, "v1beta3"),
        (KubeadmForm::V1Beta4, "v1beta4"),
    ] {
        for (what, text) in documents(form) {
            insta::assert_snapshot!(format!("kubeadm-{name}-{what}"), text);
        }
    }
}

#[test]
fn kube_proxy_as_a_service_of_the_host() {
    let proxy = KubeProxy {
        kubeconfig: Some("/etc/kubernetes/kube-proxy.conf".into()),
        hostname_override: Some("node1".into()),
        ..kube_proxy(KubeProxyMode::Nftables {
            masquerade_all: false,
        })
    };
    insta::assert_snapshot!("kube-proxy.yaml", proxy.render().unwrap());
}

#[test]
fn renewal() {
    let script = RenewCertificates { port: 6443 }.render().unwrap();
    insta::assert_snapshot!("renew-certificates.sh", script);
    let unit = RenewCertificatesUnit {
        script: "/usr/local/lib/kubexm/renew-certificates".into(),
    };
    insta::assert_snapshot!("renew-certificates.service", unit.render().unwrap());
    let timer = RenewCertificatesTimer { hour: 3 };
    insta::assert_snapshot!("renew-certificates.timer", timer.render().unwrap());
}

/// Whether the script would renew by what kubeadm says of one certificate.
fn is_due(left: &str) -> bool {
    let script = RenewCertificates { port: 6443 }.render().unwrap();
    let begin = script.find("due() {").unwrap();
    let due = &script[begin..begin + script[begin..].find("\n}\n").unwrap() + 3];
    let script = format!(
        "config=x; kubeadm() {{ printf '%s\\n' \
         'CERTIFICATE       EXPIRES                  RESIDUAL TIME   CERTIFICATE AUTHORITY' \
         'apiserver         Nov 21, 2027 05:51 UTC   {left}            ca   no' '' \
         'CERTIFICATE AUTHORITY   EXPIRES                  RESIDUAL TIME' \
         'ca                Nov 18, 2036 05:51 UTC   5d               no'; }}
{due}
due"
    );
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    status.success()
}

#[test]
fn certificates_are_renewed_in_their_last_quarter() {
    let due = ["89d", "23h", "5m", "<invalid>"];
    let not_due = ["364d", "90d", "1y"];
    assert!(due.into_iter().all(is_due));
    assert!(!not_due.into_iter().any(is_due));
}

/// The newest kubeadm, which reads v1beta4 alone, and one that reads both.
#[test]
#[ignore = "needs real Kubernetes: make e2e"]
fn kubeadm_reads_them_all() {
    let given = [
        ("KUBEXM_LAB_KUBE", vec![KubeadmForm::V1Beta4]),
        (
            "KUBEXM_LAB_KUBE_131",
            vec![KubeadmForm::V1Beta3, KubeadmForm::V1Beta4],
        ),
    ];
    for (variable, forms) in given {
        let Some(folder) = std::env::var_os(variable).map(PathBuf::from) else {
            eprintln!("left out: {variable} names no folder with a kubeadm");
            continue;
        };
        for (what, text) in forms.into_iter().flat_map(documents) {
            let file = tempfile::NamedTempFile::new().unwrap();
            // An older kubeadm reads for its own release line.
            let text = match variable {
                "KUBEXM_LAB_KUBE_131" => text.replace("v1.36.2", "v1.31.14"),
                _ => text,
            };
            std::fs::write(file.path(), &text).unwrap();
            let output = Command::new(folder.join("kubeadm"))
                .args(["config", "validate", "--config"])
                .arg(file.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{what}: {said}\n{text}");
        }
    }
}
