use event::Progress;
use host::fake::FakeHost;

use super::*;
use crate::{CONTAINERD, CRIO, RuntimeChange, RuntimeFacts};

const OLD: &str =
    "containerd\t/var/lib/containerd\tcontainerd github.com/containerd/containerd 1.7.24 abc\n";

fn end_pods(runtime: &'static RuntimeFacts, version: &str) -> EndPods {
    EndPods {
        wanted: WantedRuntime {
            runtime,
            version: version.to_owned(),
            data_dir: "/var/lib/containerd".into(),
            change: RuntimeChange::Wanted,
        },
        kubelet: "kubelet.service",
    }
}

fn on(host: FakeHost) -> (Arc<FakeHost>, Cx) {
    let host = Arc::new(host);
    let cx = Cx::new(host.clone(), Progress::unseen());
    (host, cx)
}

#[tokio::test]
async fn containers_of_the_same_line_run_on() {
    let (_, cx) = on(FakeHost::new("node1").on("MainPID", 0, OLD));
    let step = end_pods(&CONTAINERD, "v1.7.34");
    assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
    let (_, cx) = on(FakeHost::new("node1").on("MainPID", 0, ""));
    let step = end_pods(&CONTAINERD, "v2.1.9");
    assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
}

#[tokio::test]
async fn pods_end_by_the_runtime_that_made_them_and_behind_the_kubelet() {
    for (runtime, version, stops) in [
        (&CONTAINERD, "v2.1.9", "systemctl stop containerd.service"),
        (&CRIO, "v1.36.3", "restore unit containerd.service"),
    ] {
        let (host, cx) = on(FakeHost::new("node1").on("MainPID", 0, OLD));
        let step = end_pods(runtime, version);
        assert!(matches!(step.check(&cx).await.unwrap(), State::Needed(_)));
        step.apply(&cx).await.unwrap();
        let done = host.transcript();
        let at = |what: &str| done.find(what).unwrap_or_else(|| panic!("{what}: {done}"));
        let order = [
            at("systemctl stop kubelet.service"),
            at(
                "sh -s -- containers containerd /run/containerd/containerd.sock /var/lib/containerd",
            ),
            at(stops),
            at("sh -s -- leftovers containerd"),
        ];
        assert!(order.is_sorted(), "{done}");
    }
}

#[tokio::test]
async fn another_runtime_gives_way_only_to_who_has_asked_for_it() {
    let (host, cx) = on(FakeHost::new("node1").on("MainPID", 0, OLD));
    let mut step = end_pods(&CRIO, "v1.36.3");
    step.wanted.change = RuntimeChange::Refused;
    let error = step.check(&cx).await.unwrap_err();
    insta::assert_snapshot!(error, @"containerd runs the pods of this node, and the config asks for cri-o");
    insta::assert_snapshot!(error.hint().unwrap(), @"kubexm install --replace-runtime changes it, node by node; or put the former type back into the config");
    step.apply(&cx).await.unwrap_err();
    assert!(!host.transcript().contains("containers containerd"));
}
