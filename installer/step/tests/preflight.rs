//! What is said of hosts that are not fit, word for word.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Cx, Slot, State, Step};
use event::Progress;
use host::Facts;
use host::fake::{FakeHost, facts};
use step::{
    FOUNDATION, Feature, JudgeSurveys, KernelModule, Leftover, MARKER, Memory, Port, Program,
    Requirements, Space, Survey, SurveyHost, System,
};

fn requirements() -> Requirements {
    Requirements {
        cluster: "demo".into(),
        foundation: [
            ("spec.kubernetes.type", "kubeadm".into()),
            ("spec.network.plugin", "calico".into()),
        ]
        .into(),
        kubernetes: "v1.36.2".into(),
        machine: "x86_64".into(),
        systems: vec![
            System {
                id: "debian",
                since: (12, 0),
            },
            System {
                id: "rocky",
                since: (9, 0),
            },
        ],
        ports: vec![
            Port {
                number: 6443,
                of: "kube-apiserver",
            },
            Port {
                number: 10250,
                of: "kubelet",
            },
        ],
        space: vec![
            Space {
                path: "/usr/local/bin".into(),
                bytes: 1 << 30,
                of: "etcd",
            },
            Space {
                path: "/var/lib/etcd".into(),
                bytes: 2 << 30,
                of: "etcd's data",
            },
        ],
        executable: vec!["/opt/cni/bin".into(), "/usr/local/bin".into()],
        memory: Some(Memory {
            mib: 1700,
            of: "the control plane",
        }),
        controllers: vec!["cpu", "memory", "pids"],
        modules: vec![
            KernelModule {
                name: "br_netfilter",
                shows: Feature::Path("/proc/sys/net/bridge"),
            },
            KernelModule {
                name: "overlay",
                shows: Feature::Filesystem("overlay"),
            },
        ],
        programs: vec![Program {
            name: "systemctl",
            package: "systemd",
        }],
        leftovers: vec![Leftover {
            path: "/etc/kubernetes".into(),
            of: "another Kubernetes",
        }],
        addresses: vec!["10.0.0.1".parse::<IpAddr>().unwrap()],
        neighbours: Vec::new(),
    }
}

fn healthy(name: &str) -> Facts {
    Facts {
        addresses: vec!["10.0.0.1".parse().unwrap()],
        ..facts(name)
    }
}

/// A host that is fit but for what the change makes of it.
fn host(name: &str, change: impl FnOnce(&mut Facts)) -> FakeHost {
    let mut facts = healthy(name);
    change(&mut facts);
    FakeHost::new(name).with_facts(facts)
}

/// What the hosts are told together.
async fn judged(hosts: Vec<FakeHost>) -> String {
    let mut surveys = Vec::new();
    for host in hosts {
        let host: Arc<dyn host::Host> = Arc::new(host);
        let survey: Slot<Survey> = Slot::new(host.name());
        surveys.push((host.name().to_owned(), survey.clone()));
        let step = SurveyHost {
            requirements: requirements(),
            survey,
        };
        let progress = Progress::unseen();
        // A host that cannot be asked fails by itself.
        let _ = step.check(&Cx { host, progress }).await;
    }
    let judge = JudgeSurveys {
        surveys,
        skew: Duration::from_secs(2),
        behind: Duration::from_mins(30),
    };
    let operator = Arc::new(FakeHost::new("(operator)"));
    let progress = Progress::unseen();
    match judge
        .check(&Cx {
            host: operator,
            progress,
        })
        .await
    {
        Ok(State::Satisfied) => "fit".to_owned(),
        Ok(State::Needed(_)) => unreachable!("there is nothing to apply"),
        Err(error) => error.to_string(),
    }
}

async fn finding(change: impl FnOnce(&mut Facts)) -> String {
    judged(vec![host("node1", change)]).await
}

#[tokio::test]
async fn a_host_that_is_fit_has_no_finding() {
    assert_eq!(finding(|_| ()).await, "fit");
}

#[tokio::test]
async fn another_machine_than_the_bundles() {
    insta::assert_snapshot!(finding(|facts| facts.machine = "aarch64".into()).await, @r"
    1 finding; nothing was touched
      node1: its architecture is aarch64, the config says x86_64
          fix: correct `arch` of the host, and bundle again if the bundle has nothing for it
    ");
}

#[tokio::test]
async fn an_unknown_system() {
    let change = |facts: &mut Facts| {
        facts.os = "alpine".into();
        facts.os_name = "Alpine Linux v3.22".into();
    };
    insta::assert_snapshot!(finding(change).await, @r"
    1 finding; nothing was touched
      node1: its system is Alpine Linux v3.22, which kubexm does not know
          fix: supported are debian, rocky
    ");
}

#[tokio::test]
async fn a_system_that_is_too_old() {
    let change = |facts: &mut Facts| {
        facts.os_version = "11".into();
        facts.os_name = "Debian GNU/Linux 11 (bullseye)".into();
    };
    insta::assert_snapshot!(finding(change).await, @r"
    1 finding; nothing was touched
      node1: its system is Debian GNU/Linux 11 (bullseye), which is too old
          fix: debian is supported since 12.0
    ");
}

#[tokio::test]
async fn another_init() {
    insta::assert_snapshot!(finding(|facts| facts.init = "init".into()).await, @r"
    1 finding; nothing was touched
      node1: its init is init
          fix: kubexm runs everything under systemd
    ");
}

#[tokio::test]
async fn an_address_that_it_does_not_have() {
    insta::assert_snapshot!(finding(|facts| facts.addresses.clear()).await, @r"
    1 finding; nothing was touched
      node1: no interface of it has the address 10.0.0.1
          fix: correct `internalAddress` of the host
    ");
}

#[tokio::test]
async fn too_little_memory() {
    insta::assert_snapshot!(finding(|facts| facts.memory_kib = 1699 << 10).await, @r"
    1 finding; nothing was touched
      node1: it has 1699 MiB of memory, 1700 MiB are needed for the control plane
          fix: give it more memory, or its role to another host
    ");
    assert_eq!(finding(|facts| facts.memory_kib = 1700 << 10).await, "fit");
}

#[tokio::test]
async fn a_disk_that_runs_nothing() {
    let change = |facts: &mut Facts| {
        let mut disk = facts.disks["/"].clone();
        disk.noexec = true;
        facts.disks.insert("/tmp".into(), disk.clone());
        facts.disks.insert("/opt".into(), disk);
    };
    insta::assert_snapshot!(finding(change).await, @r"
    1 finding; nothing was touched
      node1: /opt is mounted noexec, and programs must run from /opt/cni/bin
          fix: mount -o remount,exec /opt, and the same in /etc/fstab
    ");
}

#[tokio::test]
async fn ports_that_are_taken() {
    insta::assert_snapshot!(finding(|facts| facts.listening = vec![22, 6443, 10250]).await, @r"
    2 findings; nothing was touched
      node1: port 6443 is in use, which kube-apiserver needs
          fix: find out by whom: ss -ltnp 'sport = :6443'
      node1: port 10250 is in use, which kubelet needs
          fix: find out by whom: ss -ltnp 'sport = :10250'
    ");
}

#[tokio::test]
async fn a_disk_that_is_too_full() {
    let change = |facts: &mut Facts| facts.disks.get_mut("/").unwrap().free = 3000 << 20;
    insta::assert_snapshot!(finding(change).await, @r"
    1 finding; nothing was touched
      node1: / has 3000 MiB free, 3072 MiB are needed for etcd, etcd's data
          fix: make room there, or mount a larger disk
    ");
    let enough = |facts: &mut Facts| facts.disks.get_mut("/").unwrap().free = 3 << 30;
    assert_eq!(finding(enough).await, "fit");
}

#[tokio::test]
async fn what_the_host_lacks_when_it_is_asked() {
    let answer = "controller memory\ncontroller pids\nmodule br_netfilter\nprogram systemctl\n";
    let host = host("node1", |_| ()).on("has_controller", 0, answer);
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    3 findings; nothing was touched
      node1: its cgroups lack memory, pids
          fix: boot a kernel that has them, with cgroup_enable=NAME on its command line where it leaves them off
      node1: its kernel lacks br_netfilter, and modprobe finds no such module
          fix: install kmod and the kernel's modules (RHEL 10: kernel-modules-extra)
      node1: it has no systemctl
          fix: install systemd
    ");
}

#[tokio::test]
async fn what_another_installation_left_behind() {
    let host = host("node1", |_| ()).on("ls -A /etc/kubernetes", 0, "y\n");
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    1 finding; nothing was touched
      node1: /etc/kubernetes is there, left behind by another Kubernetes
          fix: remove it with its own tool, or move /etc/kubernetes away
    ");
}

#[tokio::test]
async fn data_that_stayed_when_this_cluster_left_is_no_leftover() {
    let with_data_of = |cluster: &str| {
        host("node1", |_| ())
            .on("@data", 0, "/etc/kubernetes/@data\n")
            .on("ls -A /etc/kubernetes", 0, "y\n")
            .with_file("/var/lib/kubexm/cluster", format!("{cluster}\n"), 0o600)
    };
    assert_eq!(judged(vec![with_data_of("demo")]).await, "fit");
    let others = judged(vec![with_data_of("other")]).await;
    assert!(others.contains("/etc/kubernetes is there"), "{others}");
}

#[tokio::test]
async fn a_host_of_another_cluster() {
    let host = host("node1", |_| ()).with_file(MARKER, "other\n", 0o644);
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    1 finding; nothing was touched
      node1: it belongs to the cluster 'other' (/etc/kubexm/cluster)
          fix: take it out of 'other' first, or take it out of this config
    ");
}

#[tokio::test]
async fn on_a_host_of_this_cluster_ports_disk_and_data_are_its_own() {
    let change = |facts: &mut Facts| {
        facts.listening = vec![22, 6443, 10250];
        facts.disks.get_mut("/").unwrap().free = 0;
    };
    let host = host("node1", change).with_file(MARKER, "demo\n", 0o644).on(
        "ls -A /etc/kubernetes",
        0,
        "y\n",
    );
    assert_eq!(judged(vec![host]).await, "fit");
}

#[tokio::test]
async fn what_runs_here_is_neither_upgraded_nor_made_another() {
    let ours = |version: &str, foundation: &str| {
        let said = format!("kubelet Kubernetes {version}\nkube-apiserver Kubernetes {version}\n");
        host("node1", |_| ())
            .with_file(MARKER, "demo\n", 0o644)
            .with_file(FOUNDATION, foundation.to_owned(), 0o644)
            .on("--version", 0, said)
    };
    let same = "spec.kubernetes.type: kubeadm\nspec.network.plugin: calico\nspec.gone: x\n";
    assert_eq!(judged(vec![ours("v1.36.2", same)]).await, "fit");
    let other = same.replace("calico", "flannel");
    insta::assert_snapshot!(judged(vec![ours("v1.35.9", &other)]).await, @r"
    3 findings; nothing was touched
      node1: its cluster was begun with spec.network.plugin: flannel, and the config says calico
          fix: put it back: a cluster that runs keeps it. For another, delete the cluster and install it anew
      node1: its kubelet is v1.35.9, and the config asks for v1.36.2
          fix: install upgrades nothing: set spec.kubernetes.version to v1.35.9, and install from a bundle of it
      node1: its kube-apiserver is v1.35.9, and the config asks for v1.36.2
          fix: install upgrades nothing: set spec.kubernetes.version to v1.35.9, and install from a bundle of it
    ");
    let broken = ours("", same);
    assert_eq!(judged(vec![broken]).await, "fit");
}

#[tokio::test]
async fn hosts_that_are_too_much_alike_and_clocks_that_are_not() {
    let first = host("node1", |_| ());
    let twin = host("node2", |facts| {
        let first = healthy("node1");
        facts.hostname = first.hostname;
        facts.machine_id = first.machine_id;
    });
    let late = host("node3", |facts| facts.clock_ahead_ms = 2_003);
    insta::assert_snapshot!(judged(vec![first, twin, late]).await, @r"
    3 findings; nothing was touched
      node2: its hostname 'node1' is that of node1 as well
          fix: give each host a name of its own, or set spec.system.setHostname
      node2: its machine-id 'ca12f31b8cbf5f29e268ea64c20a37f3' is that of node1 as well
          fix: on cloned machines: rm /etc/machine-id && systemd-machine-id-setup, then reboot
      node3: its clock is 2003 ms ahead of node1
          fix: set the clocks, best by one time server for all hosts
    ");
    let within = host("node3", |facts| facts.clock_ahead_ms = 2_002);
    assert_eq!(judged(vec![host("node1", |_| ()), within]).await, "fit");
}

#[tokio::test]
async fn a_site_that_is_behind_the_operator_s_clock() {
    insta::assert_snapshot!(finding(|facts| facts.clock_ahead_ms = -1_860_000).await, @"
    1 finding; nothing was touched
      node1: its clock is 31 minutes behind this machine's: certificates made here would not be valid there yet
          fix: set its clock, or this machine's
    ");
    assert_eq!(
        finding(|facts| facts.clock_ahead_ms = -1_740_000).await,
        "fit"
    );
}

#[tokio::test]
async fn a_host_that_is_down_stands_in_the_report_of_the_others() {
    let down = || {
        let host = host("node3", |_| ());
        host.go_down();
        host
    };
    assert_eq!(judged(vec![host("node1", |_| ()), down()]).await, "fit");
    let taken = host("node2", |facts| facts.listening = vec![6443]);
    insta::assert_snapshot!(judged(vec![host("node1", |_| ()), taken, down()]).await, @r"
    1 finding; nothing was touched
      node2: port 6443 is in use, which kube-apiserver needs
          fix: find out by whom: ss -ltnp 'sport = :6443'
      node3: could not be looked at
          fix: its own failure says why; it may have findings of its own
    ");
}

/// The real shell of this machine: every answer that it gives is about something that it really lacks.
#[tokio::test]
async fn a_real_shell_names_what_is_not_there_and_nothing_else() {
    let requirements = Requirements {
        controllers: vec!["no-such-controller"],
        modules: vec![
            KernelModule {
                name: "no_such_module",
                shows: Feature::Path("/no/such/feature"),
            },
            KernelModule {
                name: "no_module_is_needed",
                shows: Feature::Filesystem("proc"),
            },
        ],
        programs: vec![
            Program {
                name: "sh",
                package: "dash",
            },
            Program {
                name: "no-such-program",
                package: "nothing",
            },
        ],
        ..Requirements::default()
    };
    let survey: Slot<Survey> = Slot::new("here");
    let step = SurveyHost {
        requirements,
        survey: survey.clone(),
    };
    let host = host::local::LocalHost::new("here", host::Redactor::default());
    let progress = Progress::unseen();
    let host = Arc::new(host);
    step.check(&Cx { host, progress }).await.unwrap();
    let findings = &survey.get().unwrap().findings;
    let lacks = findings
        .iter()
        .map(|finding| finding.what.as_str())
        .filter(|what| what.contains("no-such") || what.contains("no_"));
    let lacks: Vec<&str> = lacks.collect();
    assert_eq!(
        lacks,
        [
            "its cgroups lack no-such-controller",
            "its kernel lacks no_such_module, and modprobe finds no such module",
            "it has no no-such-program",
        ]
    );
}
