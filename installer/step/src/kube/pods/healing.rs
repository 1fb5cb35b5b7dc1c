//! What waiting does not heal.

use jiff::Timestamp;

use crate::kube::objects::{ContainerStatus, Event, Pod, Terminated};

/// So often restarted, and still crashing, a container does not come up by itself.
const CRASHES: u32 = 5;
/// What a runtime says of an image that the registry has not.
const NO_IMAGE: [&str; 3] = ["not found", "NotFound", "manifest unknown"];
/// What the kubelet says of a volume that the host does not have as the pod asks for it.
const NO_VOLUME: &str = "hostPath type check failed";

/// Whether somebody has to change something before this pod can be Ready.
///
/// A state may be an old one: a kubelet tries ever more rarely, and what was wrong may have been mended meanwhile. So what a
/// pod of before says counts only if it was said since then.
pub(super) fn is_beyond_waiting(pod: &Pod, events: &[&Event], since: Timestamp) -> bool {
    let created = pod.metadata.creation_timestamp;
    let is_new = created.is_some_and(|at| at >= since);
    let said: Vec<&str> = events
        .iter()
        .filter(|event| event.is_warning() && (is_new || event.at() >= since))
        .map(|event| event.message.as_str())
        .collect();
    let runs = |status: &ContainerStatus| status.state.running.is_some();
    let no_volume = said.iter().any(|text| text.contains(NO_VOLUME));
    if no_volume && !pod.container_statuses().any(runs) {
        return true;
    }
    // Some kubelets show what has ended for as long as they hold it back.
    let crashes = |status: &ContainerStatus, ended: Option<&Terminated>| {
        let at = ended.and_then(|ended| ended.finished_at);
        status.restart_count >= CRASHES && at.is_some_and(|at| at >= since)
    };
    pod.container_statuses().any(|status| {
        let Some(waiting) = &status.state.waiting else {
            let ended = status.state.terminated.as_ref();
            return crashes(status, ended.filter(|ended| ended.exit_code != 0));
        };
        match waiting.reason.as_str() {
            "InvalidImageName" => true,
            "CreateContainerConfigError" | "ErrImageNeverPull" => is_new || !said.is_empty(),
            "ErrImagePull" | "ImagePullBackOff" => {
                let own = Some(waiting.message.as_str()).filter(|_| is_new);
                said.iter().copied().chain(own).any(has_no_image)
            }
            "CrashLoopBackOff" => crashes(status, status.last_state.terminated.as_ref()),
            _ => false,
        }
    })
}

fn has_no_image(text: &str) -> bool {
    NO_IMAGE.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BEFORE: &str = "2026-01-01T00:00:00Z";
    const SINCE: &str = "2026-01-01T01:00:00Z";
    const AFTER: &str = "2026-01-01T01:00:05Z";

    fn pod(created: &str, status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "p", "creationTimestamp": created },
            "status": { "containerStatuses": [status] },
        }))
        .unwrap()
    }

    fn waits(reason: &str, message: &str) -> Value {
        json!({ "name": "c", "state": { "waiting": { "reason": reason, "message": message } } })
    }

    fn warning(at: &str, message: &str) -> Event {
        let event = json!({ "type": "Warning", "reason": "Failed", "message": message, "lastTimestamp": at });
        serde_json::from_value(event).unwrap()
    }

    fn beyond(pod: &Pod, events: &[Event]) -> bool {
        let events: Vec<&Event> = events.iter().collect();
        is_beyond_waiting(pod, &events, SINCE.parse().unwrap())
    }

    #[test]
    fn of_a_new_pod_its_state_counts() {
        let never = [
            ("InvalidImageName", ""),
            ("ErrImageNeverPull", ""),
            ("CreateContainerConfigError", "configmap \"x\" not found"),
            ("ErrImagePull", "hub/x:1: not found"),
            (
                "ImagePullBackOff",
                "Back-off: ErrImagePull: hub/x:1: not found",
            ),
        ];
        for (reason, message) in never {
            assert!(
                beyond(&pod(AFTER, &waits(reason, message)), &[]),
                "{reason}"
            );
        }
        let passing = [
            ("ContainerCreating", ""),
            ("ErrImagePull", "dial tcp 10.0.0.9:5000: i/o timeout"),
            ("ImagePullBackOff", "Back-off pulling image \"hub/x:1\""),
        ];
        for (reason, message) in passing {
            assert!(
                !beyond(&pod(AFTER, &waits(reason, message)), &[]),
                "{reason}"
            );
        }
    }

    #[test]
    fn of_a_pod_of_before_only_what_was_said_since_counts() {
        let no_image = "Failed to pull image \"hub/x:1\": not found";
        let old = pod(BEFORE, &waits("ImagePullBackOff", no_image));
        assert!(!beyond(&old, &[]));
        assert!(!beyond(&old, &[warning(BEFORE, no_image)]));
        assert!(beyond(&old, &[warning(AFTER, no_image)]));
        let config = pod(BEFORE, &waits("CreateContainerConfigError", ""));
        assert!(!beyond(&config, &[]));
        assert!(beyond(
            &config,
            &[warning(AFTER, "Error: secret not found")]
        ));
    }

    #[test]
    fn a_volume_that_the_host_has_not() {
        let text = "MountVolume.SetUp failed for volume \"bpffs\" : hostPath type check failed: /sys/fs/bpf is not a directory";
        let created = pod(AFTER, &waits("PodInitializing", ""));
        assert!(beyond(&created, &[warning(AFTER, text)]));
        let old = pod(BEFORE, &waits("PodInitializing", ""));
        assert!(!beyond(&old, &[warning(BEFORE, text)]));
        let runs = json!({ "name": "c", "state": { "running": {} } });
        assert!(!beyond(&pod(AFTER, &runs), &[warning(AFTER, text)]));
    }

    #[test]
    fn crashes_are_counted_while_somebody_looks() {
        for (restarts, ended, never) in [(5, AFTER, true), (4, AFTER, false), (9, BEFORE, false)] {
            let ended = json!({ "terminated": { "exitCode": 1, "finishedAt": ended } });
            let waits = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
            let held = json!({ "name": "c", "restartCount": restarts, "state": waits, "lastState": ended });
            let shown = json!({ "name": "c", "restartCount": restarts, "state": ended });
            for status in [held, shown] {
                assert_eq!(beyond(&pod(BEFORE, &status), &[]), never, "{status}");
            }
        }
    }
}
