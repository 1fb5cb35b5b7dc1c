//! What waits for a cluster, and what is in its way, asked of fake masters that answer as real ones do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Cx, Retry, Slot, State, Step};
use event::{Event, Events, Progress, Sink};
use host::Output;
use host::fake::FakeHost;
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{
    AwaitNetwork, LookAtNodeNetwork, NodeObstacles, ProbePods, ProveApiServices, ProveSystemPods,
    ProveWebhooks, RemoveProbePods, SetUpProbePods,
};
use tokio_util::sync::CancellationToken;

/// Nobody waits for a fake to change its mind.
const ONCE: Retry = Retry {
    attempts: 1,
    first_delay: Duration::ZERO,
};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Sink for Heard {
    fn on(&self, _: Timestamp, event: &Event) {
        let line = match event {
            Event::Seen { what, warning, .. } => match warning {
                Some(warning) => format!("{what}\nwarning: {warning}"),
                None => what.clone(),
            },
            Event::Waiting { for_what, .. } => format!("waits: {for_what}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

/// What a step says that is asked, or done: what it has seen, or why it fails and what to do.
async fn said(host: Arc<FakeHost>, step: &dyn Step, act: Act) -> String {
    let heard = Arc::new(Heard::default());
    let events = Events::to(vec![heard.clone()]);
    let cx = Cx::new(host, events.progress(events.next_id(), None));
    let ended = match act {
        Act::Check => step.check(&cx).await,
        Act::Apply => step.apply(&cx).await.map(|()| State::Satisfied),
    };
    let mut lines = heard.0.lock().unwrap().clone();
    match ended {
        Ok(State::Satisfied) => {}
        Ok(State::Needed(why)) => lines.push(format!("needed: {why}")),
        Err(error) => {
            lines.push(format!("error: {error}"));
            lines.extend(error.hint().map(|hint| format!("hint: {hint}")));
        }
    }
    lines.join("\n")
}

#[derive(Clone, Copy)]
enum Act {
    Check,
    Apply,
}

fn list(items: &[Value]) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn webhook(kind: &str, name: &str, policy: &str, resources: &[&str]) -> Value {
    json!({
        "kind": kind,
        "metadata": { "name": name },
        "webhooks": [{
            "name": format!("{name}.example.com"),
            "failurePolicy": policy,
            "clientConfig": { "service": { "namespace": "policy", "name": name, "path": "/v" } },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources }],
        }],
    })
}

/// A master whose cluster has these webhooks, and no service but `here`.
fn with_webhooks(webhooks: &[Value]) -> FakeHost {
    let ready = list(&[json!({ "endpoints": [{ "conditions": { "ready": true } }] })]);
    FakeHost::new("m1")
        .on("webhookconfigurations", 0, list(webhooks))
        .on("endpointslices", 0, list(&[]))
        .on("service-name=here", 0, ready)
        .on(
            "get --output json service",
            1,
            "Error from server (NotFound): services not found",
        )
        .on(
            "policy empty",
            0,
            json!({ "spec": { "type": "ClusterIP" } }).to_string(),
        )
        .on(
            "policy elsewhere",
            0,
            json!({ "spec": { "type": "ExternalName" } }).to_string(),
        )
}

#[tokio::test]
async fn a_webhook_without_a_server_is_named() {
    let (validating, mutating) = (
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    );
    let proof = ProveWebhooks { patience: ONCE };
    let ask = async |webhooks: &[Value]| {
        said(Arc::new(with_webhooks(webhooks)), &proof, Act::Check).await
    };
    insta::assert_snapshot!(ask(&[
        webhook(validating, "gone", "Fail", &["pods"]),
        webhook(mutating, "empty", "Fail", &["*"]),
        webhook(validating, "here", "Fail", &["pods"]),
    ]).await, @r"
    error: webhook gone.example.com (ValidatingWebhookConfiguration gone) does not answer: there is no service policy/gone; no new pod is taken without it
    webhook empty.example.com (MutatingWebhookConfiguration empty) does not answer: service policy/empty has no ready endpoint; no new pod is taken without it
    hint: bring its server up, or remove its configuration: kubectl delete KIND NAME
    ");
    insta::assert_snapshot!(ask(&[webhook(validating, "gone", "Fail", &["secrets"])]).await, @r"
    1 webhook without
    warning: webhook gone.example.com (ValidatingWebhookConfiguration gone) does not answer: there is no service policy/gone; some objects are not taken without it
    ");
    let harmless = [
        webhook(validating, "gone", "Ignore", &["pods"]),
        webhook(validating, "elsewhere", "Fail", &["pods"]),
    ];
    assert_eq!(ask(&harmless).await, "none is without");
}

fn probe_pods() -> SetUpProbePods {
    SetUpProbePods {
        pods: Arc::new(ProbePods {
            nodes: vec!["node1".into(), "node2".into()],
            image: "registry.k8s.io/coredns/coredns:v1.13.1".into(),
        }),
        probes: Slot::new("the pods of the check"),
    }
}

#[tokio::test]
async fn pods_that_a_webhook_keeps_away_are_not_tried() {
    let gone = webhook("ValidatingWebhookConfiguration", "gone", "Fail", &["pods"]);
    let host = Arc::new(with_webhooks(&[gone]));
    insta::assert_snapshot!(said(host.clone(), &probe_pods(), Act::Apply).await, @r"
    error: the cluster takes no new pod: webhook gone.example.com (ValidatingWebhookConfiguration gone) does not answer: there is no service policy/gone
    hint: bring its server up, or remove its configuration: kubectl delete KIND NAME
    ");
    assert!(!host.transcript().contains("apply"));
}

#[tokio::test]
async fn a_part_of_the_api_without_a_server_is_named() {
    let service = |name: &str, status: &str| {
        json!({
            "metadata": { "name": format!("v1beta1.{name}") },
            "spec": { "service": { "namespace": "kube-system", "name": name } },
            "status": { "conditions": [{
                "type": "Available", "status": status, "reason": "MissingEndpoints",
                "message": format!("endpoints for service/{name} in \"kube-system\" have no addresses with port name \"https\""),
            }]},
        })
    };
    let own = json!({ "metadata": { "name": "v1.apps" }, "spec": {}, "status": {} });
    let proof = ProveApiServices { patience: ONCE };
    let ask = async |services: &[Value]| {
        let host = FakeHost::new("m1").on("apiservices", 0, list(services));
        said(Arc::new(host), &proof, Act::Check).await
    };
    insta::assert_snapshot!(ask(&[own.clone(), service("metrics-server", "False")]).await, @r#"
    error: APIService v1beta1.metrics-server has no server (service kube-system/metrics-server): MissingEndpoints: endpoints for service/metrics-server in "kube-system" have no addresses with port name "https"
    hint: bring its server up, or remove it: kubectl delete apiservice NAME; until then no namespace can be deleted
    "#);
    let well = ask(&[own, service("metrics-server", "True")]).await;
    assert_eq!(well, "1 part beside the apiserver's own");
}

/// A master with a namespace that is kept by these conditions until it is let go, or for so many looks.
fn with_namespace(conditions: &Value, looks: usize) -> Arc<FakeHost> {
    let mut left = looks;
    let namespace = json!({ "metadata": { "uid": "u-1" }, "status": { "conditions": conditions } });
    let namespace = namespace.to_string();
    Arc::new(FakeHost::new("m1").on_command(move |command, _| {
        let text = command.text();
        if text.contains("finalize") {
            left = 0;
        }
        let asked = text.contains("get --output json namespace");
        let stdout = if asked && left > 0 {
            left -= 1;
            namespace.clone()
        } else {
            String::new()
        };
        Some(Ok(Output {
            status: 0,
            stdout: stdout.into(),
            stderr: Vec::new(),
        }))
    }))
}

fn condition(kind: &str, status: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "message": message })
}

#[tokio::test]
async fn a_namespace_that_waits_for_a_server_that_is_gone_is_let_go() {
    let missing = "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1: stale GroupVersion discovery";
    let kept = json!([
        condition("NamespaceDeletionDiscoveryFailure", "True", missing),
        condition(
            "NamespaceContentRemaining",
            "False",
            "All content successfully removed"
        ),
        condition(
            "NamespaceFinalizersRemaining",
            "False",
            "All finalizers removed"
        ),
    ]);
    let host = with_namespace(&kept, usize::MAX);
    let told = said(host.clone(), &RemoveProbePods, Act::Apply).await;
    assert_eq!(told, format!("waits: {missing}"));
    let transcript = host.transcript();
    assert!(
        transcript.contains("replace --raw /api/v1/namespaces/kubexm-check/finalize"),
        "{transcript}"
    );
}

#[tokio::test]
async fn a_namespace_that_still_holds_something_is_not_let_go() {
    let remaining = "Some resources are remaining: pods. has 2 resource instances";
    let kept = json!([
        condition("NamespaceDeletionDiscoveryFailure", "True", "1 failing"),
        condition("NamespaceContentRemaining", "True", remaining),
    ]);
    let host = with_namespace(&kept, 2);
    let told = said(host.clone(), &RemoveProbePods, Act::Apply).await;
    assert_eq!(told, format!("waits: 1 failing; {remaining}"));
    assert!(!host.transcript().contains("finalize"));
}

fn calico_pod(node: &str, status: &str, container: &Value) -> Value {
    json!({
        "metadata": {
            "name": format!("calico-node-{node}"), "namespace": "kube-system", "uid": "a-1",
            "creationTimestamp": Timestamp::now().to_string(),
        },
        "spec": { "nodeName": node },
        "status": {
            "phase": "Pending",
            "conditions": [{ "type": "Ready", "status": status }],
            "initContainerStatuses": [container],
        },
    })
}

async fn calico(came: &[&str]) -> AwaitNetwork {
    let mut nodes = Vec::new();
    for name in ["node1", "node2"] {
        let seen: Slot<NodeObstacles> = Slot::new(name);
        if came.contains(&name) {
            let look = LookAtNodeNetwork {
                config: Some("/etc/cni/net.d/10-calico.conflist"),
                seen: seen.clone(),
            };
            let foreign = "config /etc/cni/net.d/05-other.conf\n";
            let cx = Cx::new(
                Arc::new(FakeHost::new(name).on("look", 0, foreign)),
                Progress::unseen(),
            );
            look.check(&cx).await.unwrap();
        }
        nodes.push((name.to_owned(), seen));
    }
    AwaitNetwork {
        plugin: "calico",
        selector: "k8s-app=calico-node",
        nodes: nodes.into(),
    }
}

#[tokio::test]
async fn a_node_has_its_network_when_the_plugin_s_pod_on_it_is_ready() {
    let running = json!({ "name": "install-cni", "ready": true, "state": { "terminated": { "exitCode": 0 } } });
    let pods = [
        calico_pod("node1", "True", &running),
        calico_pod("node2", "False", &running),
    ];
    let ask = async |came: &[&str]| {
        let host = FakeHost::new("m1").on("get --output json pods", 0, list(&pods));
        said(Arc::new(host), &calico(came).await, Act::Check).await
    };
    assert_eq!(
        ask(&["node1", "node2"]).await,
        "needed: is not Ready on node2"
    );
    // A node that did not come is not waited for.
    assert_eq!(ask(&["node1"]).await, "");
}

/// Interrupts the run as soon as a step says what it waits for.
struct Interrupt(CancellationToken);

impl Sink for Interrupt {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Waiting { .. } = event {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn whoever_interrupts_a_wait_does_not_wait() {
    let waits = json!({ "name": "c", "ready": false, "state": { "waiting": { "reason": "ContainerCreating" } } });
    let pods = list(&[calico_pod("node1", "False", &waits)]);
    let patient = Retry {
        attempts: 30,
        first_delay: Duration::from_secs(10),
    };
    let system = ProveSystemPods { patience: patient };
    let network = calico(&["node1"]).await;
    let steps: [(&dyn Step, Act); 2] = [(&system, Act::Apply), (&network, Act::Apply)];
    for (step, act) in steps {
        let host = FakeHost::new("m1").on("get --output json pods", 0, &*pods);
        let stop = CancellationToken::new();
        let events = Events::to(vec![Arc::new(Interrupt(stop.clone()))]);
        let progress = events.progress(events.next_id(), None);
        let cx = Cx::stopped_by(Arc::new(host), progress, stop);
        let ended = match act {
            Act::Check => step.check(&cx).await.map(drop),
            Act::Apply => step.apply(&cx).await,
        };
        assert!(ended.unwrap_err().is_interrupted(), "{}", step.describe());
    }
}
