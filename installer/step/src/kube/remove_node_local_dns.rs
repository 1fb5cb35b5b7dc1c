use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use jiff::Timestamp;
use serde::Deserialize;

use crate::check::list;
use crate::kube::kubectl::{ask_json, ask_kubectl, kubectl};
use crate::kube::objects::{Metadata, Pod};
use crate::kube::pods::host_time;
use crate::shell::{must, refused};

/// Takes the DNS cache of each node out of a cluster. Stands behind the kubelets: pods that come from now on are told
/// another address. A pod keeps the one that it was told when it was made, so as long as such pods are there, it stays.
pub struct RemoveNodeLocalDns {
    /// What kubelets told pods while it ran, where that was its own address and not the service's.
    pub told: Option<Ipv4Addr>,
}

/// When nobody was told its address any more, as noted at it.
const SINCE: &str = "kubexm.mensylisir.io/given-up";
const OBJECT: &str = "daemonset/node-local-dns";
const OBJECTS: [&str; 4] = [
    OBJECT,
    "configmap/node-local-dns",
    "serviceaccount/node-local-dns",
    "service/kube-dns-upstream",
];
const NAMESPACE: &str = "--namespace=kube-system";
/// So many pods are named.
const NAMED: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Noted {
    metadata: Metadata,
}

/// Whether a pod asks the address that its kubelet told it.
fn asks_cluster_dns(pod: &Pod) -> bool {
    match pod.spec.dns_policy.as_str() {
        "ClusterFirstWithHostNet" => true,
        "ClusterFirst" => !pod.spec.host_network,
        _ => false,
    }
}

impl RemoveNodeLocalDns {
    /// Since when pods are told another address. Noted when it is first asked for.
    async fn since(&self, cx: &Cx) -> Result<Timestamp, StepError> {
        let output = ask_json(cx, &[OBJECT, NAMESPACE]).await?;
        let noted: Noted = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let noted = noted.metadata.annotations.get(SINCE);
        if let Some(since) = noted.and_then(|since| since.parse().ok()) {
            return Ok(since);
        }
        let since = host_time(cx).await?;
        let note = format!("{SINCE}={since}");
        let annotate = ["annotate", "--overwrite", NAMESPACE, OBJECT, &note];
        must(cx, "note that nodelocaldns is given up", kubectl(&annotate)).await?;
        Ok(since)
    }

    async fn insist_on_nobody(&self, cx: &Cx, told: Ipv4Addr) -> Result<(), StepError> {
        let since = self.since(cx).await?;
        let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces"]).await?;
        let older = |pod: &&Pod| {
            let created = pod.metadata.creation_timestamp;
            let ends = pod.metadata.deletion_timestamp.is_some();
            // Times are whole seconds, and kubelets have told another address for longer than one.
            !ends && created.is_none_or(|created| created < since)
        };
        let asking: Vec<String> = pods
            .iter()
            .filter(|pod| !pod.is_over() && asks_cluster_dns(pod))
            .filter(older)
            .map(Pod::title)
            .collect();
        if asking.is_empty() {
            return Ok(());
        }
        let more = match asking.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = asking.iter().take(NAMED).cloned().collect::<Vec<_>>();
        Err(StepError::new(format!(
            "nodelocaldns cannot go yet: pods that were made before now ask {told}, and nobody would answer them: {}{more}",
            first.join(", ")
        ))
        .with_hint(
            "restart what they belong to (kubectl rollout restart), and run again; or put spec.dns.nodelocaldns back into the config",
        ))
    }
}

#[async_trait]
impl Step for RemoveNodeLocalDns {
    fn id(&self) -> String {
        "remove nodelocaldns".to_owned()
    }

    fn describe(&self) -> String {
        "remove nodelocaldns from the cluster".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let get = [
            &["get", NAMESPACE, "--ignore-not-found", "--output=name"],
            &OBJECTS[..],
        ];
        let output = ask_kubectl(cx, &get.concat()).await?;
        if !output.ok() {
            return Err(refused("look for nodelocaldns", &output));
        }
        let text = output.text();
        Ok(match text.lines().find(|line| !line.trim().is_empty()) {
            None => State::Satisfied,
            Some(first) => State::needed(format!("{} is there", first.trim())),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let get = [
            "get",
            NAMESPACE,
            "--ignore-not-found",
            "--output=name",
            OBJECT,
        ];
        let runs = !ask_kubectl(cx, &get).await?.text().trim().is_empty();
        if let Some(told) = self.told.filter(|_| runs) {
            self.insist_on_nobody(cx, told).await?;
        }
        // It takes its interface and its rules with it, which takes a moment.
        let delete = [
            &[
                "delete",
                NAMESPACE,
                "--ignore-not-found",
                "--timeout=60s",
                "--cascade=foreground",
            ],
            &OBJECTS[..],
        ];
        must(cx, "remove nodelocaldns", kubectl(&delete.concat()))
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;
    use serde_json::{Value, json};

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);

    fn pod(name: &str, policy: &str, host_network: bool, at: &str) -> Value {
        json!({
            "metadata": { "name": name, "namespace": "default", "creationTimestamp": at },
            "spec": { "dnsPolicy": policy, "hostNetwork": host_network },
            "status": { "phase": "Running" },
        })
    }

    /// What becomes of it in a cluster with these pods, which came before 2026 or in 2027.
    async fn removed(told: Option<Ipv4Addr>, pods: &[Value]) -> (Result<(), StepError>, String) {
        let host = FakeHost::new("m1")
            .on("date", 0, "1767225600\n")
            .on("get --output json", 0, "{}")
            .on(
                "get --output json pods",
                0,
                json!({ "items": pods }).to_string(),
            )
            .on("--output=name", 0, "daemonset.apps/node-local-dns\n")
            .on("annotate", 0, "")
            .on("delete", 0, "");
        let host = Arc::new(host);
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = RemoveNodeLocalDns { told };
        let outcome = step.apply(&cx).await;
        (outcome, host.transcript())
    }

    #[tokio::test]
    async fn it_stays_while_pods_ask_it() {
        let (before, after) = ("2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let mut pods = vec![
            pod("late", "ClusterFirst", false, after),
            pod("own", "Default", false, before),
            pod("hosts", "ClusterFirst", true, before),
        ];
        let (outcome, did) = removed(Some(ADDRESS), &pods).await;
        assert!(outcome.is_ok() && did.contains("delete"), "{did}");
        pods.extend((0..6).map(|at| pod(&format!("web-{at}"), "ClusterFirst", false, before)));
        pods.push(pod("net", "ClusterFirstWithHostNet", true, before));
        let (outcome, did) = removed(Some(ADDRESS), &pods).await;
        let error = outcome.unwrap_err();
        insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
        nodelocaldns cannot go yet: pods that were made before now ask 169.254.20.10, and nobody would answer them: default/web-0, default/web-1, default/web-2, default/web-3, default/web-4 and 2 more
        hint: restart what they belong to (kubectl rollout restart), and run again; or put spec.dns.nodelocaldns back into the config
        ");
        assert!(
            did.contains("given-up=2026-01-01T00:00:00Z") && !did.contains("delete"),
            "{did}"
        );
        let (outcome, did) = removed(None, &pods).await;
        assert!(outcome.is_ok() && did.contains("delete"), "{did}");
    }
}
