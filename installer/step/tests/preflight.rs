//! What is said of hosts that are not fit, word for word.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Cx, Slot, State, Step};
use event::{Event, Events, Progress, Sink};
use host::fake::{FakeHost, facts};
use host::{Cgroup, Facts};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use step::{
    Bringer, CgroupV1, Device, Eviction, FOUNDATION, Feature, Held, Identity, JudgeSurveys,
    KeptAuthority, KernelModule, KernelSince, Leftover, MARKER, Memory, Mounted, Port, Program,
    ProgramFeature, Reached, Requirements, Rival, SelinuxBoolean, SiteName, Socket, Space, Survey,
    SurveyHost, System,
};
use time::OffsetDateTime;

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
            bringer: Bringer::System,
        }],
        leftovers: [
            ("/etc/kubernetes", "another Kubernetes"),
            ("/sys/class/net/cali*", "another pods' network"),
        ]
        .map(|(path, of)| Leftover {
            path: path.into(),
            of,
        })
        .into(),
        rivals: vec![Rival {
            unit: "docker.service",
            why: "it would be Docker's containerd no more",
            fix: "remove it",
        }],
        sockets: vec![Socket {
            path: "/run/containerd/containerd.sock",
            of: "containerd",
            unit: "containerd.service",
        }],
        addresses: vec!["10.0.0.1".parse::<IpAddr>().unwrap()],
        ..Requirements::default()
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
    judged_by(&requirements(), hosts).await
}

async fn judged_by(requirements: &Requirements, hosts: Vec<FakeHost>) -> String {
    let mut surveys = Vec::new();
    for host in hosts {
        let host: Arc<dyn host::Host> = Arc::new(host);
        let survey: Slot<Survey> = Slot::new(host.name());
        surveys.push((host.name().to_owned(), survey.clone()));
        let step = SurveyHost {
            requirements: requirements.clone(),
            without: None,
            survey,
        };
        let progress = Progress::unseen();
        // A host that cannot be asked fails by itself.
        let _ = step.check(&Cx::new(host, progress)).await;
    }
    let judge = JudgeSurveys {
        surveys,
        unique: vec![Identity::HOSTNAME, Identity::MACHINE_ID],
        skew: Duration::from_secs(2),
        off: Duration::from_mins(30),
    };
    let operator = Arc::new(FakeHost::new("(operator)"));
    let progress = Progress::unseen();
    match judge.check(&Cx::new(operator, progress)).await {
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
          fix: supported are debian, rocky; to go on at your own risk: spec.system.accept: [alpine]
    ");
}

#[tokio::test]
async fn an_unknown_system_that_somebody_answers_for() {
    let wanted = Requirements {
        accepted: vec!["alpine".into()],
        ..requirements()
    };
    let alpine = host("node1", |facts| facts.os = "alpine".into());
    assert_eq!(judged_by(&wanted, vec![alpine]).await, "fit");
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
async fn a_host_that_others_wait_for_says_so_when_it_is_down() {
    let host = FakeHost::new("registry1");
    host.go_down();
    let step = SurveyHost {
        requirements: requirements(),
        without: Some("it is the site's registry"),
        survey: Slot::new("registry1"),
    };
    let cx = Cx::new(Arc::new(host), Progress::unseen());
    let error = step.check(&cx).await.unwrap_err();
    assert!(error.may_pass());
    let hint = error.hint().unwrap();
    assert!(hint.ends_with("it is the site's registry"), "{hint}");
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
async fn ports_whose_holder_is_known() {
    let change = |facts: &mut Facts| facts.listening = vec![22, 6443];
    let host = host("node1", change).on("who-listens", 0, "6443\tkube-apiserver (process 812)\n");
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    1 finding; nothing was touched
      node1: port 6443 is in use by kube-apiserver (process 812), and kube-apiserver needs it
          fix: stop it, or give it another port; where it is left over from an older cluster, remove that with its own tool
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
          fix: install kmod and the modules of its kernel 6.12.48-amd64 (RHEL 10: kernel-modules-extra of just this version, which spec.system.rpms can bring along)
      node1: it has no systemctl
          fix: install systemd
    ");
}

#[tokio::test]
async fn a_kernel_that_was_updated_and_not_booted() {
    let answer = "module br_netfilter\nkernel stale\n";
    let host = host("node1", |_| ()).on("has_controller", 0, answer);
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    1 finding; nothing was touched
      node1: its kernel lacks br_netfilter, and modprobe finds no such module
          fix: reboot it: it runs the kernel 6.12.48-amd64, and /lib/modules has modules of others alone, as after an update
    ");
}

/// A certificate that ends so many days from now, as a host hands it out.
fn certificate(file: &str, days: i64) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(days);
    let key = KeyPair::generate().unwrap();
    format!("== {file}\n{}", params.self_signed(&key).unwrap().pem())
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_told_where_install_does_not_renew_it() {
    const OF_KUBELET: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let said = async |ours: bool, asks: &'static [&'static str]| {
        let told: String = [
            (OF_KUBELET, -3),
            ("/etc/kubernetes/admin.conf", -1),
            ("/etc/kubernetes/pki/apiserver.crt", 30),
            ("/etc/etcd/pki/server.crt", -5),
        ]
        .map(|(file, days)| certificate(file, days))
        .concat();
        let mut host = host("node1", |_| ()).on("BEGIN CERTIFICATE", 0, told);
        if ours {
            host = host.with_file(MARKER, "demo\n", 0o644);
        }
        let asks = Requirements {
            certificates: asks,
            ..requirements()
        };
        let told = judged_by(&asks, vec![host]).await;
        let mut lines: Vec<&str> = told.lines().collect();
        lines.retain(|line| line.contains("ended") || line.contains("renew"));
        let cut = |line: &&str| line.split(" on 2").next().unwrap().trim().to_owned();
        lines.iter().map(cut).collect::<Vec<String>>().join("\n")
    };
    insta::assert_snapshot!(said(true, &[OF_KUBELET, "/etc/kubernetes/"]).await, @r"
    node1: its certificate /var/lib/kubelet/pki/kubelet-client-current.pem has ended
    fix: `kubexm certs renew` renews it, also where nothing of the cluster answers any more; then run install again
    node1: its certificate /etc/kubernetes/admin.conf has ended
    fix: `kubexm certs renew` renews it, also where nothing of the cluster answers any more; then run install again
    ");
    assert_eq!(said(true, &[]).await, "");
    // What another cluster has left is told as such.
    assert_eq!(said(false, &[OF_KUBELET]).await, "");
}

/// A host that says this of itself where it is asked by name.
fn telling(asked: &str) -> FakeHost {
    host("node1", |_| ()).on("observe ", 0, format!("@@kubexm asked\n{asked}"))
}

#[tokio::test]
async fn what_another_installation_left_behind() {
    let host = telling("trace\t/etc/kubernetes\ntrace\t/sys/class/net/cali12\n");
    insta::assert_snapshot!(judged(vec![host]).await, @r"
    2 findings; nothing was touched
      node1: /etc/kubernetes is there, left behind by another Kubernetes
          fix: remove it with its own tool, or move /etc/kubernetes away
      node1: the interface cali12 is there, left behind by another pods' network
          fix: remove it with its own tool, or: ip link delete cali12
    ");
}

#[tokio::test]
async fn others_that_are_at_work() {
    let docker = "unit\tdocker.service\tActiveState=active\n\
                  unit\tdocker.service\tFragmentPath=/lib/systemd/system/docker.service\n\
                  socket\t/run/containerd/containerd.sock\n";
    insta::assert_snapshot!(judged(vec![telling(docker)]).await, @r"
    2 findings; nothing was touched
      node1: docker.service is at work (/lib/systemd/system/docker.service): it would be Docker's containerd no more
          fix: remove it
      node1: somebody listens at /run/containerd/containerd.sock, where containerd will be
          fix: find out who, and stop it: ss -lxp src /run/containerd/containerd.sock
    ");
    let idle = "unit\tdocker.service\tActiveState=inactive\nunit\tdocker.service\tUnitFileState=disabled\n";
    assert_eq!(judged(vec![telling(idle)]).await, "fit");
}

#[tokio::test]
async fn cgroup_v1_where_kubernetes_refuses_it() {
    let of = async |cgroup_v1: CgroupV1, cgroup: Cgroup| {
        let wanted = Requirements {
            cgroup_v1,
            ..requirements()
        };
        let host = host("node1", |facts| facts.cgroup = cgroup);
        judged_by(&wanted, vec![host]).await
    };
    assert_eq!(of(CgroupV1::Works, Cgroup::V1).await, "fit");
    assert_eq!(of(CgroupV1::EndsKubelet, Cgroup::V2).await, "fit");
    insta::assert_snapshot!(of(CgroupV1::EndsKubelet, Cgroup::V1).await, @r"
    1 finding; nothing was touched
      node1: it has cgroup v1, and the kubelet of v1.36.2 does not start there
          fix: boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1 on the kernel's command line), or set spec.kubernetes.kubeletConfiguration: {failCgroupV1: false}
    ");
    insta::assert_snapshot!(of(CgroupV1::EndsKubeadm, Cgroup::V1).await, @r"
    1 finding; nothing was touched
      node1: it has cgroup v1, and the kubeadm of v1.36.2 refuses that
          fix: boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1 on the kernel's command line), or set spec.kubernetes.ignorePreflightErrors: [SystemVerification]
    ");
}

#[tokio::test]
async fn a_kernel_that_is_too_old() {
    let wanted = Requirements {
        kernels: vec![KernelSince {
            release: (5, 13),
            of: "proxyMode nftables",
            or: "set spec.kubernetes.proxyMode: iptables",
        }],
        ..requirements()
    };
    let of = async |kernel: &str| {
        let host = host("node1", |facts| facts.kernel = kernel.to_owned());
        judged_by(&wanted, vec![host]).await
    };
    assert_eq!(of("5.13.0-rc1").await, "fit");
    insta::assert_snapshot!(of("4.18.0-553.el8.x86_64").await, @r"
    1 finding; nothing was touched
      node1: its kernel is 4.18.0-553.el8.x86_64, and proxyMode nftables asks for 5.13 or newer
          fix: boot a newer kernel, or set spec.kubernetes.proxyMode: iptables
    ");
}

#[tokio::test]
async fn services_that_no_route_leads_to() {
    let wanted = Requirements {
        routed: vec!["10.233.0.0/18".parse().unwrap()],
        forwards_v6: true,
        ..requirements()
    };
    let of = async |routes: &str| {
        let told = format!("@@kubexm routes4\nIface Destination\n{routes}\n");
        let host = host("node1", |_| ()).on("observe ", 0, told);
        judged_by(&wanted, vec![host]).await
    };
    let own = "eth0 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0";
    insta::assert_snapshot!(of(own).await, @r"
    1 finding; nothing was touched
      node1: it has no default route, and none to 10.233.0.0/18: its programs would reach no service
          fix: give it a default route, or one for services alone (ip route add 10.233.0.0/18 dev INTERFACE), also for the next boot
    ");
    let default = "eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0";
    assert_eq!(of(default).await, "fit");
    let services = "eth0 0000E90A 00000000 0001 0 0 0 00C0FFFF 0 0 0";
    assert_eq!(of(services).await, "fit");
    // What it does not tell is not held against it.
    assert_eq!(judged_by(&wanted, vec![host("node1", |_| ())]).await, "fit");

    let zeros = "0".repeat(32);
    let advertised = |accepts: &str| {
        format!(
            "{default}\n@@kubexm routes6\n{zeros} 00 {zeros} 00 {zeros} 00000400 2 0 00450003 eth0\n\
             @@kubexm accept_ra\n/proc/sys/net/ipv6/conf/eth0/accept_ra:{accepts}"
        )
    };
    insta::assert_snapshot!(of(&advertised("1")).await, @r"
    1 finding; nothing was touched
      node1: its IPv6 default route on eth0 is a router's advertisement, which the kernel no longer takes once it forwards
          fix: set net.ipv6.conf.eth0.accept_ra = 2, also for the next boot, or give it a route of its own
    ");
    assert_eq!(of(&advertised("2")).await, "fit");
}

#[tokio::test]
async fn names_that_lead_elsewhere_or_do_not_stay() {
    let wanted = Requirements {
        names: vec![SiteName {
            name: "lb.site".into(),
            of: "the control plane",
            addresses: vec!["10.0.0.2".parse().unwrap()],
        }],
        ..requirements()
    };
    let of = async |told: &str| {
        let host = host("node1", |_| ()).on("observe ", 0, told);
        judged_by(&wanted, vec![host]).await
    };
    insta::assert_snapshot!(of("@@kubexm hosts\n127.0.1.1 node1\n10.1.1.1 LB.site\n").await, @r"
    1 finding; nothing was touched
      node1: line 2 of /etc/hosts leads lb.site, the name of the control plane, to 10.1.1.1
          fix: take the name out of it: the first line with a name counts, and kubexm's stand behind
    ");
    assert_eq!(of("@@kubexm hosts\n10.0.0.2 lb.site\n").await, "fit");
    let behind = "@@kubexm hosts\n# BEGIN kubexm demo\n# END kubexm demo\n10.1.1.1 lb.site\n";
    assert_eq!(of(behind).await, "fit");
    let cloud = "@@kubexm cloud\n/etc/cloud/cloud.cfg:manage_etc_hosts: true\n";
    insta::assert_snapshot!(of(cloud).await, @r"
    1 finding; nothing was touched
      node1: cloud-init writes /etc/hosts anew at each boot, without the names of the site (manage_etc_hosts in /etc/cloud/cloud.cfg)
          fix: set manage_etc_hosts: false there; a file that comes later, /etc/cloud/cloud.cfg.d/99-kubexm.cfg, outweighs all but the machine's own user data
    ");
    let off = format!("{cloud}/etc/cloud/cloud.cfg.d/99-kubexm.cfg:manage_etc_hosts: false\n");
    assert_eq!(of(&off).await, "fit");
}

#[tokio::test]
async fn a_disk_that_the_kubelet_would_find_too_full() {
    let eviction = |path: &str, percent, signal| Eviction {
        path: path.into(),
        percent,
        signal,
    };
    let wanted = Requirements {
        evictions: vec![
            eviction("/var/lib/kubelet", 10, "nodefs.available"),
            eviction("/var/lib/containerd", 15, "imagefs.available"),
        ],
        ..requirements()
    };
    let of = async |free: u64| {
        let host = host("node1", |facts| {
            facts.disks.get_mut("/").unwrap().free = free << 30;
        });
        judged_by(&wanted, vec![host]).await
    };
    insta::assert_snapshot!(of(17).await, @r"
    1 finding; nothing was touched
      node1: / would have 14336 of 102400 MiB free, and with less than 15 % the kubelet evicts pods (imagefs.available)
          fix: make room there, mount a larger disk, or lower spec.kubernetes.kubeletConfiguration.evictionHard
    ");
    assert_eq!(of(18).await, "fit");
}

#[tokio::test]
async fn disks_are_judged_where_links_lead() {
    let wanted = Requirements {
        overlay: Some("/var/lib/containerd".into()),
        ..requirements()
    };
    let of = async |kind: &str| {
        let told = format!(
            "@@kubexm asked\nplace\t/var/lib/etcd\t/data/etcd\text2/ext3\n\
             place\t/usr/local/bin\t/data/bin\text2/ext3\nplace\t/var/lib/containerd\t/data/c\t{kind}\n"
        );
        let change = |facts: &mut Facts| {
            let mut disk = facts.disks["/"].clone();
            disk.noexec = true;
            disk.free = 1 << 30;
            facts.disks.insert("/data".into(), disk);
        };
        let host = host("node1", change).on("observe ", 0, told);
        judged_by(&wanted, vec![host]).await
    };
    insta::assert_snapshot!(of("nfs").await, @r"
    3 findings; nothing was touched
      node1: /data is mounted noexec, and programs must run from /usr/local/bin
          fix: mount -o remount,exec /data, and the same in /etc/fstab
      node1: /var/lib/containerd is on nfs, on which containers' file systems cannot be laid over each other
          fix: put spec.registry.containerdDataDir on a local disk with ext4, or with xfs of mkfs.xfs -n ftype=1
      node1: /data has 1024 MiB free, 3072 MiB are needed for etcd, etcd's data
          fix: make room there, or mount a larger disk
    ");
    assert!(!of("xfs").await.contains("containerd"));
}

#[tokio::test]
async fn the_machine_that_kubexm_runs_on_is_no_node() {
    let survey = Slot::new("node1");
    let node = Arc::new(host("node1", |_| ()));
    let step = SurveyHost {
        requirements: requirements(),
        without: None,
        survey: survey.clone(),
    };
    let cx = |host: Arc<FakeHost>| Cx::new(host, Progress::unseen());
    step.check(&cx(node)).await.unwrap();
    let judge = JudgeSurveys {
        surveys: vec![("node1".to_owned(), survey)],
        unique: Vec::new(),
        skew: Duration::from_secs(2),
        off: Duration::from_mins(30),
    };
    let operator = |name: &str| {
        let operator = FakeHost::new("(operator)");
        let operator = operator.with_file("/etc/machine-id", healthy("node1").machine_id, 0o444);
        Arc::new(operator.with_file("/proc/sys/kernel/hostname", format!("{name}\n"), 0o644))
    };
    let clone = judge.check(&cx(operator("tools"))).await.unwrap();
    assert_eq!(clone, State::Satisfied);
    let same = judge.check(&cx(operator("node1"))).await.unwrap_err();
    insta::assert_snapshot!(same, @r"
    1 finding; nothing was touched
      node1: it is the machine that kubexm runs on, whose services and files it would change under itself
          fix: run kubexm on another machine
    ");
}

#[tokio::test]
async fn data_that_stayed_when_this_cluster_left_is_no_leftover() {
    let with_data_of = |cluster: &str| {
        host("node1", |_| ())
            .on("@data", 0, "/etc/kubernetes/@data\n")
            .on("observe ", 0, "@@kubexm asked\ntrace\t/etc/kubernetes\n")
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
        "observe ",
        0,
        "@@kubexm asked\ntrace\t/etc/kubernetes\nunit\tdocker.service\tActiveState=active\n",
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
          fix: install upgrades nothing: kubexm upgrade cluster BUNDLE -f CONFIG does; or set spec.kubernetes.version to v1.35.9, and install from a bundle of it
      node1: its kube-apiserver is v1.35.9, and the config asks for v1.36.2
          fix: install upgrades nothing: kubexm upgrade cluster BUNDLE -f CONFIG does; or set spec.kubernetes.version to v1.35.9, and install from a bundle of it
    ");
    let broken = ours("", same);
    assert_eq!(judged(vec![broken]).await, "fit");
}

#[tokio::test]
async fn an_authority_of_a_cluster_is_not_replaced() {
    let certs = tempfile::tempdir().unwrap();
    let local = camino::Utf8Path::from_path(certs.path())
        .unwrap()
        .join("sa.pub");
    let asks = || Requirements {
        authorities: vec![KeptAuthority {
            local: local.clone(),
            path: "/etc/kubernetes/pki/sa.pub".into(),
        }],
        ..requirements()
    };
    let ours = |key: &'static str| {
        let host = host("node1", |_| ()).with_file(MARKER, "demo\n", 0o644);
        host.with_file("/etc/kubernetes/pki/sa.pub", key, 0o644)
    };
    let said = async |host: FakeHost| {
        let survey = Slot::new("node1");
        let step = SurveyHost {
            requirements: asks(),
            without: None,
            survey: survey.clone(),
        };
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        step.check(&cx).await.unwrap();
        let findings: Vec<String> = survey
            .get()
            .unwrap()
            .findings
            .iter()
            .map(|found| found.what.clone())
            .collect();
        findings
            .join("\n")
            .replace(certs.path().to_str().unwrap(), "[certs]")
    };
    let lost =
        "its cluster was made with /etc/kubernetes/pki/sa.pub, and [certs]/sa.pub is not there";
    assert_eq!(said(ours("key")).await, lost);
    std::fs::write(&local, "another").unwrap();
    let another =
        "its cluster was made with another /etc/kubernetes/pki/sa.pub than [certs]/sa.pub";
    assert_eq!(said(ours("key")).await, another);
    std::fs::write(&local, "key").unwrap();
    assert_eq!(said(ours("key")).await, "");
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
async fn a_site_that_is_far_from_the_operator_s_clock() {
    insta::assert_snapshot!(finding(|facts| facts.clock_ahead_ms = 1_860_000).await, @"
    1 finding; nothing was touched
      node1: its clock is 31 minutes ahead of this machine's: certificates made here would end there too early, or have ended
          fix: set its clock, or this machine's
    ");
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

/// Hosts that share 10.0.0.100 and see this of their links.
fn sharing() -> Requirements {
    Requirements {
        shared: vec!["10.0.0.100:6443".parse::<SocketAddr>().unwrap()],
        ..requirements()
    }
}

fn linked(name: &str, network: &str) -> FakeHost {
    let shown = format!("2: eth0 inet {network} scope global eth0\neth0 mtu 1500\n");
    host(name, |_| ()).on("addr show", 0, shown)
}

fn hearing(name: &str) -> FakeHost {
    linked(name, "10.0.0.1/24").on("answers 10.0.0.100 6443", 0, "10.0.0.100\n")
}

fn holding(name: &str) -> FakeHost {
    let change = |facts: &mut Facts| facts.addresses.push("10.0.0.100".parse().unwrap());
    let shown = "2: eth0 inet 10.0.0.1/24\n2: eth0 inet 10.0.0.100/32\neth0 mtu 1500\n";
    host(name, change).on("addr show", 0, shown)
}

fn ours(host: FakeHost) -> FakeHost {
    host.with_file(MARKER, "demo\n", 0o644)
}

#[tokio::test]
async fn a_virtual_address_that_somebody_else_has() {
    let free = vec![linked("lb1", "10.0.0.1/24"), linked("lb2", "10.0.0.1/24")];
    assert_eq!(judged_by(&sharing(), free).await, "fit");
    let taken = vec![hearing("lb1"), hearing("lb2")];
    insta::assert_snapshot!(judged_by(&sharing(), taken).await, @r"
    1 finding; nothing was touched
      lb1: somebody answers at the virtual address 10.0.0.100, and it is none of the hosts that share it
          fix: find out who: ip neigh show to 10.0.0.100; or give another one in controlPlaneEndpoint.lb_address
    ");
    let new_beside_ours = vec![ours(holding("lb1")), hearing("lb2")];
    assert_eq!(judged_by(&sharing(), new_beside_ours).await, "fit");
    let unseen = linked("lb2", "10.0.0.1/24");
    unseen.go_down();
    let one_may_have_it = vec![ours(hearing("lb1")), unseen];
    assert_eq!(judged_by(&sharing(), one_may_have_it).await, "fit");
}

#[tokio::test]
async fn a_virtual_address_that_a_host_has_before_kubexm_gave_it() {
    insta::assert_snapshot!(judged_by(&sharing(), vec![holding("lb1")]).await, @r"
    1 finding; nothing was touched
      lb1: it has the virtual address 10.0.0.100 already
          fix: take it off the host, or give another one in controlPlaneEndpoint.lb_address
    ");
}

#[tokio::test]
async fn a_virtual_address_of_no_network_around() {
    let outside = vec![linked("lb1", "10.0.1.1/24")];
    insta::assert_snapshot!(judged_by(&sharing(), outside).await, @r"
    1 finding; nothing was touched
      lb1: the virtual address 10.0.0.100 is in none of its networks (10.0.1.0/24 on eth0)
          fix: give an address of one of them in controlPlaneEndpoint.lb_address
    ");
}

#[tokio::test]
async fn what_selinux_forbids_a_service() {
    let boolean = |name, besides| SelinuxBoolean {
        name,
        of: "haproxy",
        besides,
    };
    let wanted = Requirements {
        selinux: vec![
            boolean("haproxy_connect_any", None),
            boolean("keepalived_connect_any", None),
            boolean("httpd_can_network_connect", Some("and allow the port")),
        ],
        ..requirements()
    };
    let off = "boolean haproxy_connect_any\nboolean httpd_can_network_connect\n";
    let host = host("lb1", |_| ()).on("getenforce", 0, off);
    insta::assert_snapshot!(judged_by(&wanted, vec![host]).await, @r"
    2 findings; nothing was touched
      lb1: SELinux keeps haproxy from the ports of others: haproxy_connect_any is off
          fix: setsebool -P haproxy_connect_any on
      lb1: SELinux keeps haproxy from the ports of others: httpd_can_network_connect is off
          fix: setsebool -P httpd_can_network_connect on; and allow the port
    ");
}

#[tokio::test]
async fn a_firewall_is_warned_of_before_the_first_installation() {
    let warned = async |marker: Option<&str>| {
        let mut host = host("node1", |_| ()).on("ufw status", 0, "firewall ufw\n");
        if let Some(cluster) = marker {
            host = host.with_file(MARKER, cluster.to_owned(), 0o644);
        }
        let warnings = Arc::new(Warnings::default());
        let events = Events::to(vec![warnings.clone()]);
        let progress = events.progress(events.next_id(), None);
        let step = SurveyHost {
            requirements: requirements(),
            without: None,
            survey: Slot::new("node1"),
        };
        let host: Arc<dyn host::Host> = Arc::new(host);
        step.check(&Cx::new(host, progress)).await.unwrap();
        let warnings = warnings.0.lock().unwrap();
        warnings.join("\n")
    };
    insta::assert_snapshot!(warned(None).await, @"ufw is active: it must let nodes and their pods reach each other; the ports are in docs/installing.md");
    assert_eq!(warned(Some("demo\n")).await, "");
}

/// The warnings among the events.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Sink for Warnings {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Seen {
            warning: Some(warning),
            ..
        } = event
        {
            self.0.lock().unwrap().push(warning.clone());
        }
    }
}

#[tokio::test]
async fn a_program_without_what_is_needed_of_it() {
    let wanted = Requirements {
        features: vec![ProgramFeature {
            program: "nginx",
            name: "stream module",
            test: "nginx -V 2>&1 | grep -q with-stream",
            package: "libnginx-mod-stream",
        }],
        ..requirements()
    };
    let host = host("lb1", |_| ()).on("has_controller", 0, "feature stream module\n");
    insta::assert_snapshot!(judged_by(&wanted, vec![host]).await, @r"
    1 finding; nothing was touched
      lb1: its nginx has no stream module
          fix: install libnginx-mod-stream
    ");
}

/// What the real shell of this machine answers.
async fn survey_here(requirements: Requirements) -> Slot<Survey> {
    let survey: Slot<Survey> = Slot::new("here");
    let step = SurveyHost {
        without: None,
        requirements,
        survey: survey.clone(),
    };
    let host = host::local::LocalHost::new("here", host::Redactor::default());
    let progress = Progress::unseen();
    let host = Arc::new(host);
    step.check(&Cx::new(host, progress)).await.unwrap();
    survey
}

/// The real shell of this machine: of two addresses of its loopback one takes a connection.
#[tokio::test]
async fn a_real_shell_hears_who_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.8:0").unwrap();
    let answering = listener.local_addr().unwrap();
    let silent = SocketAddr::new("127.0.0.9".parse().unwrap(), answering.port());
    let requirements = Requirements {
        shared: vec![answering, silent],
        ..Requirements::default()
    };
    let survey = survey_here(requirements).await;
    let seen = survey.get().unwrap();
    let held: Vec<Held> = seen.shared.iter().map(|shared| shared.held).collect();
    assert_eq!(held, [Held::Elsewhere, Held::Nowhere]);
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
        features: vec![
            ProgramFeature {
                program: "sh",
                name: "no-such feature",
                test: "false",
                package: "nothing",
            },
            ProgramFeature {
                program: "sh",
                name: "no-such lack",
                test: "false || true",
                package: "nothing",
            },
            ProgramFeature {
                program: "no-such-program",
                name: "no-such part",
                test: "false",
                package: "nothing",
            },
        ],
        programs: vec![
            Program {
                name: "sh",
                package: "dash",
                bringer: Bringer::System,
            },
            Program {
                name: "no-such-program",
                package: "nothing",
                bringer: Bringer::System,
            },
        ],
        devices: ["/dev/null", "/dev/no-such"]
            .map(|path| Device {
                path,
                of: "somebody needs it",
                fix: "nothing",
            })
            .into(),
        ..Requirements::default()
    };
    let survey = survey_here(requirements).await;
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
            "it has no /dev/no-such, and somebody needs it",
            "its sh has no no-such feature",
        ]
    );
}

/// The real shell of this machine: what listens on it is reached, and nothing else.
#[tokio::test]
async fn a_real_shell_knows_what_it_reaches_and_what_is_mounted() {
    let listener = std::net::TcpListener::bind("127.0.0.8:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reached = |name: &str, addresses: &[&str]| Reached {
        name: name.into(),
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        port,
        of: "the site's registry",
        key: "spec.registry.address",
    };
    let temp = tempfile::tempdir().unwrap();
    let mounted = |path: &str| Mounted {
        path: path.into(),
        of: "the registry's data",
        key: "spec.registry.registryMount",
    };
    let requirements = Requirements {
        reached: vec![
            reached("hub.corp", &["127.0.0.9", "127.0.0.8"]),
            reached("lost.corp", &["127.0.0.9"]),
            reached("no-such-name.invalid", &[]),
        ],
        mounts: vec![mounted("/proc"), mounted(temp.path().to_str().unwrap())],
        ..Requirements::default()
    };
    let survey = survey_here(requirements).await;
    let findings = survey.get().unwrap().findings.iter();
    let told: Vec<String> = findings
        .filter(|finding| {
            finding.what.contains("the registry") || finding.what.contains("'s registry")
        })
        .map(|finding| format!("{}\n  fix: {}", finding.what, finding.fix))
        .collect();
    let told = told.join("\n").replace(&format!(":{port}"), ":[port]");
    let told = told.replace(temp.path().to_str().unwrap(), "[bare]");
    insta::assert_snapshot!(told, @r"
    it gets no connection to lost.corp:[port], the site's registry
      fix: open the way in firewalls between them; is it at work there?
    it does not know where no-such-name.invalid, the site's registry, is
      fix: give the address in spec.registry.address, or the name to the DNS that the host asks
    nothing is mounted at [bare], and the registry's data is to lie there
      fix: mount it, with a line in /etc/fstab so that it comes at boot, or correct spec.registry.registryMount
    ");
}
