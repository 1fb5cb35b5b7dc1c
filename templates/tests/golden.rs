//! Every template, rendered with a context as a real site has it.

use templates::*;

fn text(template: &impl Template) -> String {
    template.render().unwrap()
}

fn etcd(corruption_check: CorruptionCheck) -> EtcdEnvironment {
    EtcdEnvironment {
        name: "node1".into(),
        address: "172.16.0.2".into(),
        data_dir: "/var/lib/etcd".into(),
        pki_dir: "/etc/etcd/pki".into(),
        heartbeat_ms: 250,
        election_ms: 5000,
        snapshot_count: 10000,
        compaction_hours: 8,
        quota_bytes: 2_147_483_648,
        max_request_bytes: 1_572_864,
        max_snapshots: 5,
        max_wals: 5,
        metrics: "basic".into(),
        metrics_reach: MetricsReach::Host,
        log_level: "info".into(),
        corruption_check,
    }
}

#[test]
fn etcd_files() {
    insta::assert_snapshot!("etcd.env", text(&etcd(CorruptionCheck::FeatureGate)));
    let old = text(&etcd(CorruptionCheck::Experimental));
    assert!(old.contains("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=\"true\""));
    assert!(!old.contains("FEATURE_GATES"));
    let reached = text(&EtcdEnvironment {
        metrics_reach: MetricsReach::Network,
        ..etcd(CorruptionCheck::FeatureGate)
    });
    let urls = "ETCD_LISTEN_METRICS_URLS=\"http://127.0.0.1:2381,http://172.16.0.2:2381\"\n";
    assert!(reached.contains(urls), "{reached}");
    let bootstrap = EtcdBootstrap {
        state: BootstrapState::Existing,
        token: "mycluster".into(),
        members: vec![
            "node1=https://172.16.0.2:2380".into(),
            "node2=https://172.16.0.3:2380".into(),
        ],
    };
    insta::assert_snapshot!("etcd-bootstrap.env", text(&bootstrap));
    insta::assert_snapshot!(
        "etcd.service",
        text(&EtcdUnit {
            data_dir: "/var/lib/etcd".into()
        })
    );
}

#[test]
fn containerd_files() {
    let (data_dir, sandbox_image) = ("/var/lib/containerd", "registry.k8s.io/pause:3.10");
    let logins = vec![RegistryLogin {
        authority: "hub.corp:5000".into(),
        username: "robot$reader".into(),
        password: "a \"quoted\" one".into(),
    }];
    let one = Containerd1 {
        data_dir: data_dir.into(),
        sandbox_image: sandbox_image.into(),
        logins: Vec::new(),
        handlers: Vec::new(),
    };
    insta::assert_snapshot!("containerd-1.toml", text(&one));
    let two = Containerd2 {
        data_dir: data_dir.into(),
        sandbox_image: sandbox_image.into(),
        logins: Vec::new(),
        handlers: Vec::new(),
    };
    insta::assert_snapshot!("containerd-2.toml", text(&two));
    let handler = |name: &str, kind| ContainerdHandler {
        name: name.into(),
        kind,
    };
    let handlers = vec![
        handler(
            "nvidia",
            ContainerdHandlerKind::Program("/usr/bin/nvidia-container-runtime".into()),
        ),
        handler(
            "kata",
            ContainerdHandlerKind::Shim {
                path: "/opt/kata/bin/containerd-shim-kata-v2".into(),
                config: "/opt/kata/share/defaults/kata-containers/configuration.toml".into(),
            },
        ),
    ];
    let more = Containerd2 {
        handlers: handlers.clone(),
        ..two.clone()
    };
    insta::assert_snapshot!("containerd-2-handlers.toml", text(&more));
    let more = Containerd1 {
        handlers,
        ..one.clone()
    };
    insta::assert_snapshot!("containerd-1-handlers.toml", text(&more));
    let class = |name: &str, machines| PodRuntime {
        name: name.into(),
        label: format!("kubexm.mensylisir.io/runtime-{name}"),
        machines,
    };
    let classes = RuntimeClasses {
        classes: vec![class("nvidia", false), class("kata", true)],
    };
    insta::assert_snapshot!("runtime-classes.yaml", text(&classes));
    let two = Containerd2 {
        logins: logins.clone(),
        ..two
    };
    insta::assert_snapshot!("containerd-2-logins.toml", text(&two));
    let one = Containerd1 { logins, ..one };
    assert!(text(&one).contains("registry.configs.\"hub.corp:5000\".auth]"));
    insta::assert_snapshot!("containerd.service", text(&ContainerdUnit {}));
    let own = RegistryHost {
        endpoint: "https://registry.site:5000/v2/registry.k8s.io".into(),
        ca_file: Some("/etc/containerd/certs.d/ca.crt".into()),
        unchecked: false,
        authorization: Some("Basic a3ViZXhtOnNlY3JldA==".into()),
    };
    let alone = RegistryHosts {
        first: Vec::new(),
        last: own.clone(),
    };
    insta::assert_snapshot!("hosts.toml", text(&alone));
    let several = RegistryHosts {
        first: vec![own],
        last: RegistryHost {
            endpoint: "http://old.site:5000/v2".into(),
            ca_file: None,
            unchecked: true,
            authorization: None,
        },
    };
    insta::assert_snapshot!("hosts-several.toml", text(&several));
    let crictl = Crictl {
        endpoint: "unix:///run/containerd/containerd.sock".into(),
    };
    insta::assert_snapshot!("crictl.yaml", text(&crictl));
}

#[test]
fn crio_files() {
    let runtime = |name: &str| OciRuntime {
        name: name.into(),
        path: format!("/usr/local/libexec/crio/{name}"),
        machines: None,
    };
    let config = Crio {
        data_dir: "/var/lib/crio/storage".into(),
        sandbox_image: "registry.k8s.io/pause:3.10".into(),
        login_file: "/etc/crio/auth.json".into(),
        programs_dir: "/usr/local/libexec/crio".into(),
        default_runtime: "crun".into(),
        runtimes: vec![runtime("crun"), runtime("runc")],
    };
    insta::assert_snapshot!("crio.toml", text(&config));
    let kata = OciRuntime {
        name: "kata".into(),
        path: "/opt/kata/bin/containerd-shim-kata-v2".into(),
        machines: Some("/opt/kata/share/defaults/kata-containers/configuration.toml".into()),
    };
    let more = Crio {
        runtimes: vec![runtime("crun"), kata],
        ..config
    };
    insta::assert_snapshot!("crio-kata.toml", text(&more));
    let unit = CrioUnit {
        data_dir: "/var/lib/crio/storage".into(),
        programs_dir: "/usr/local/libexec/crio".into(),
    };
    insta::assert_snapshot!("crio.service", text(&unit));
    let location = |path: &str, unchecked| Location {
        path: path.into(),
        unchecked,
    };
    let registries = RegistriesConf {
        remaps: vec![
            Remap {
                host: "docker.io".into(),
                first: vec![location("registry.site:5000/docker.io", false)],
                last: location("mirror.corp/hub", true),
            },
            Remap {
                host: "registry.site:5000".into(),
                first: Vec::new(),
                last: location("registry.site:5000", false),
            },
        ],
        blocked: vec!["com".into(), "io".into()],
    };
    insta::assert_snapshot!("registries.conf", text(&registries));
    let login = |registry: &str| DockerLogin {
        registry: registry.into(),
        login: "a3ViZXhtOnNlY3JldA==".into(),
    };
    let logins = DockerLogins {
        logins: vec![login("registry.site:5000"), login("mirror.corp")],
    };
    insta::assert_snapshot!("docker-logins.json", text(&logins));
}

#[test]
fn docker_files() {
    let unit = DockerUnit {
        data_dir: "/var/lib/docker".into(),
    };
    insta::assert_snapshot!("docker.service", text(&unit));
    let unit = CriDockerUnit {
        arguments: vec![
            "--container-runtime-endpoint=unix:///run/cri-dockerd.sock".into(),
            "--network-plugin=cni".into(),
        ],
    };
    insta::assert_snapshot!("cri-docker.service", text(&unit));
}

#[test]
fn registry_files() {
    let config = RegistryConfig {
        port: 5000,
        data_dir: "/mnt/registry".into(),
        certificate: "/etc/kubexm-registry/registry.crt".into(),
        key: "/etc/kubexm-registry/registry.key".into(),
        htpasswd: "/etc/kubexm-registry/htpasswd".into(),
        takes: RegistryTakes::Pushes,
    };
    insta::assert_snapshot!("registry.yml", text(&config));
    let unit = RegistryUnit {
        config: "/etc/kubexm-registry/config.yml".into(),
        data_dir: "/mnt/registry".into(),
        mount: None,
        takes: RegistryTakes::Pushes,
    };
    let takes = RegistryTakes::Nothing;
    let reading = RegistryConfig {
        port: 5001,
        takes,
        ..config.clone()
    };
    insta::assert_snapshot!("registry-reading.yml", text(&reading));
    let reading = RegistryUnit {
        mount: Some("/mnt/registry".into()),
        takes,
        ..unit.clone()
    };
    insta::assert_snapshot!("registry-reading.service", text(&reading));
    insta::assert_snapshot!("registry.service", text(&unit));
}

#[test]
fn os_files() {
    let hosts = HostsBlock {
        entries: vec![
            HostEntry {
                address: "172.16.0.2".into(),
                names: vec!["node1".into()],
            },
            HostEntry {
                address: "2022::2".into(),
                names: vec!["node1".into(), "registry.site".into()],
            },
        ],
    };
    insta::assert_snapshot!("hosts", text(&hosts));
    insta::assert_snapshot!(
        "modules.conf",
        text(&Modules {
            names: vec!["overlay".into(), "br_netfilter".into()]
        })
    );
    let sysctls = Sysctls {
        settings: vec![("net.ipv4.ip_forward".into(), "1".into())],
    };
    insta::assert_snapshot!("sysctl.conf", text(&sysctls));
}

#[test]
fn values_are_quoted() {
    let mut context = etcd(CorruptionCheck::FeatureGate);
    context.name = "a\"b\\c\nd".into();
    assert!(text(&context).contains(r#"ETCD_NAME="a\"b\\c\nd""#));
}

#[test]
fn harbor_files() {
    let config = HarborConfig {
        domain: "harbor.site.example".into(),
        http_port: 80,
        port: 443,
        certificate: "/opt/kubexm-harbor/tls/registry.crt".into(),
        key: "/opt/kubexm-harbor/tls/registry.key".into(),
        admin_password: "a \"quoted\" one".into(),
        database_password: "secret".into(),
        data_dir: "/data/harbor".into(),
        version: "2.14.0".into(),
    };
    insta::assert_snapshot!("harbor.yml", text(&config));
    let unit = HarborUnit {
        home: "/opt/kubexm-harbor".into(),
        data_dir: "/data/harbor".into(),
        mount: Some("/data".into()),
    };
    insta::assert_snapshot!("harbor.service", text(&unit));
}
