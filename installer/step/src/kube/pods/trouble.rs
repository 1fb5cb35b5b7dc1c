//! What keeps pods from being Ready: of each its container and the reason, the last event, and the last line of its log.

use std::fmt;

use engine::Cx;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::healing::is_beyond_waiting;
use crate::kube::kubectl::{ask_json, ask_kubectl};
use crate::kube::objects::{ContainerStatus, Event, Pod};

/// Of so many pods in trouble the log is asked for.
const LOGS: usize = 3;
/// A warning is worth more than what was said a little later.
const A_WHILE: SignedDuration = SignedDuration::from_mins(2);
/// What a kubelet answers, as if it were the log, when the container is gone.
const NO_LOG: &str = "unable to retrieve container logs";

/// What keeps a pod from being Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `coredns-abc on node2`
    pub who: String,
    pub what: String,
    pub event: Option<String>,
    /// The last line of its log, or of the container that it was before.
    pub line: Option<String>,
    /// Somebody has to change something.
    pub beyond_waiting: bool,
}

impl Trouble {
    /// In one line, for who watches.
    pub fn brief(&self) -> String {
        let said = self.line.as_ref().or(self.event.as_ref());
        let said = said.map_or_else(String::new, |said| format!("; {said}"));
        format!("{}: {}{said}", self.who, self.what)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.who, self.what)?;
        for (name, said) in [("event", &self.event), ("line", &self.line)] {
            if let Some(said) = said {
                write!(f, "\n  its last {name}: {said}")?;
            }
        }
        Ok(())
    }
}

/// What is to be told of these pods of one namespace, each with what is wrong with it.
pub(crate) async fn told(cx: &Cx, pods: &[(&Pod, String)], since: Timestamp) -> Vec<Trouble> {
    let Some((first, _)) = pods.first() else {
        return Vec::new();
    };
    let events = events(cx, &first.metadata.namespace).await;
    let mut troubles = Vec::new();
    for (pod, what) in pods {
        let own: Vec<&Event> = events.iter().filter(|event| is_of(event, pod)).collect();
        let line = if troubles.len() < LOGS {
            last_line(cx, pod).await
        } else {
            None
        };
        troubles.push(Trouble {
            who: pod.placed(),
            what: what.clone(),
            event: last(&own).map(Event::told),
            line,
            beyond_waiting: is_beyond_waiting(pod, &own, since),
        });
    }
    troubles
}

/// Those of the namespace's pods. Who cannot tell has none: they only explain what is known to be wrong.
async fn events(cx: &Cx, namespace: &str) -> Vec<Event> {
    #[derive(Default, Deserialize)]
    struct List {
        items: Vec<Event>,
    }
    let what = [
        "events",
        "--namespace",
        namespace,
        "--field-selector=involvedObject.kind=Pod",
        "--request-timeout=10s",
    ];
    let answer = ask_json(cx, &what).await;
    let list: Option<List> = answer
        .ok()
        .and_then(|answer| serde_json::from_slice(&answer.stdout).ok());
    list.unwrap_or_default().items
}

/// A pod made anew may have the name of one before. A static one is known to its kubelet by a digest without dashes.
fn is_of(event: &Event, pod: &Pod) -> bool {
    let object = &event.involved_object;
    object.name == pod.metadata.name
        && (object.uid == pod.metadata.uid || !object.uid.contains('-'))
}

fn last<'a>(events: &[&'a Event]) -> Option<&'a Event> {
    let last = events.iter().max_by_key(|event| event.at())?;
    let warnings = events.iter().filter(|event| event.is_warning());
    let warning = warnings.max_by_key(|event| event.at());
    let recent = warning.filter(|warning| last.at().duration_since(warning.at()) < A_WHILE);
    Some(recent.unwrap_or(last))
}

/// The last words of the container that is in trouble; of its run before where it says nothing, or is gone.
async fn last_line(cx: &Cx, pod: &Pod) -> Option<String> {
    let troubled = |status: &&ContainerStatus| {
        let done = status.state.terminated.as_ref();
        !status.ready && done.is_none_or(|done| done.exit_code != 0)
    };
    let status = pod.container_statuses().find(troubled).or_else(|| {
        pod.container_statuses()
            .find(|status| status.restart_count > 0)
    })?;
    let runs: &[&[&str]] = match (status.restart_count, &status.state.running) {
        (0, _) => &[&[]],
        (_, Some(_)) => &[&[], &["--previous"]],
        (_, None) => &[&["--previous"], &[]],
    };
    for run in runs.iter().copied() {
        let logs = [
            "--request-timeout=10s",
            "logs",
            "--namespace",
            &pod.metadata.namespace,
            &pod.metadata.name,
            "--container",
            &status.name,
            "--tail=1",
        ];
        let answer = ask_kubectl(cx, &[&logs[..], run].concat()).await.ok()?;
        let line = answer.text();
        let line = line.trim();
        if answer.ok() && !line.is_empty() && !line.starts_with(NO_LOG) {
            return Some(line.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;
    use serde_json::{Value, json};

    use super::*;

    fn crashing(name: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": "kube-system", "uid": "a-1" },
            "spec": { "nodeName": "node2" },
            "status": { "containerStatuses": [{
                "name": "coredns", "ready": false, "restartCount": 3,
                "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } },
            }]},
        }))
        .unwrap()
    }

    fn event(kind: &str, at: &str, uid: &str, message: &str) -> Value {
        json!({
            "type": kind, "reason": "Why", "message": message, "count": 12, "lastTimestamp": at,
            "involvedObject": { "name": "coredns-abc", "uid": uid },
        })
    }

    async fn of(host: FakeHost) -> Trouble {
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let pod = crashing("coredns-abc");
        let pods = [(&pod, pod.why_not_ready())];
        told(&cx, &pods, Timestamp::UNIX_EPOCH).await.remove(0)
    }

    #[tokio::test]
    async fn a_trouble_is_told_with_its_last_event_and_its_last_line() {
        let events = json!({ "items": [
            event("Warning", "2026-01-01T00:00:00Z", "a-1", "Back-off restarting\nfailed container"),
            event("Normal", "2026-01-01T00:00:30Z", "a-1", "Pulled"),
            event("Warning", "2026-01-01T00:09:00Z", "a-0", "of a pod before"),
        ]});
        let host = FakeHost::new("m1")
            .on("get --output json events", 0, events.to_string())
            .on("logs", 0, "plugin/forward: not an address: \"dns1\"\n");
        let trouble = of(host).await;
        insta::assert_snapshot!(trouble, @r#"
        coredns-abc on node2: container coredns waits (CrashLoopBackOff), restarted 3 times: back-off 40s
          its last event: Why: Back-off restarting failed container (12 times)
          its last line: plugin/forward: not an address: "dns1"
        "#);
        insta::assert_snapshot!(trouble.brief(), @r#"coredns-abc on node2: container coredns waits (CrashLoopBackOff), restarted 3 times: back-off 40s; plugin/forward: not an address: "dns1""#);
    }

    #[tokio::test]
    async fn a_log_that_is_gone_is_no_line() {
        let gone = "unable to retrieve container logs for containerd://1f00\n";
        let trouble = of(FakeHost::new("m1").on("logs", 0, gone)).await;
        assert_eq!(trouble.line, None);
        let before = FakeHost::new("m1")
            .on("logs", 0, "the one that runs now\n")
            .on("--previous", 0, gone);
        assert_eq!(of(before).await.line.unwrap(), "the one that runs now");
    }
}
