use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;
use jiff::Timestamp;

use crate::kube::kubectl;
use crate::service::run::{NOTES, note_unwell, with_last_lines};
use crate::shell::ask;

/// Waits, when a kubelet was started anew, until it has stayed up for a while, and its node has told the cluster since then
/// that it lives, and is no less ready than before. That a service runs says little, and a single heartbeat as well: a kubelet
/// that does not like its configuration sends one, and ends seconds later.
///
/// Where that does not happen, it is noted that the kubelet is not well: the next run starts it anew and asks again.
pub struct AwaitHeartbeat {
    pub node: String,
    pub unit: &'static str,
}

/// How long it must be up.
const STEADY_SECONDS: u64 = 10;
/// One that has been up for so long was not started by this turn. Where the cluster cannot be asked of it, on a master whose
/// apiserver is away, that is what the turn goes on to mend.
const SETTLED_SECONDS: u64 = 300;
/// Heartbeats come every ten seconds, and the state of a node a little later.
const PATIENCE: Duration = Duration::from_mins(2);
const ASK_EVERY: Duration = Duration::from_secs(2);

/// What host and cluster say.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    started: Timestamp,
    service: &'a str,
    /// For how many seconds it has been up.
    up: u64,
    /// Whether the cluster said anything of the node.
    answered: bool,
    heartbeat: Option<Timestamp>,
    ready: bool,
    /// Since when it is so.
    ready_since: Option<Timestamp>,
}

impl<'a> Said<'a> {
    /// A line each: when the service was started with what is new, how it is, for how long it has been so, when the node was
    /// heard of last, and whether it is ready.
    fn read(text: &'a str) -> Option<Self> {
        let mut lines = text.lines();
        let started = lines.next()?.trim().parse().ok()?;
        let service = lines.next()?.trim();
        let up = lines.next()?.trim().parse().ok()?;
        let heartbeat = lines.next().and_then(|line| line.trim().parse().ok());
        // Nothing where the cluster cannot be asked.
        let condition = lines.next().and_then(|line| line.split_once(' '));
        let (ready, since) = condition.unwrap_or_default();
        Some(Self {
            started: Timestamp::from_second(started).ok()?,
            service,
            up,
            answered: heartbeat.is_some() || condition.is_some(),
            heartbeat,
            ready: ready == "True",
            ready_since: since.trim().parse().ok(),
        })
    }

    fn state(&self) -> State {
        if self.service != "active" {
            return State::needed(format!("its service is {}", self.service));
        }
        if self.up < STEADY_SECONDS {
            return State::needed("its service has only just been started");
        }
        if self.up >= SETTLED_SECONDS && !self.answered {
            return State::Satisfied;
        }
        if self
            .heartbeat
            .is_none_or(|heartbeat| heartbeat <= self.started)
        {
            return State::needed("the cluster has not heard of it since it was started");
        }
        // A node that had no network before has none because of that.
        let as_before = self.ready_since.is_some_and(|since| since < self.started);
        if self.ready || as_before {
            State::Satisfied
        } else {
            State::needed("the node is not Ready any more")
        }
    }
}

impl AwaitHeartbeat {
    fn script(&self) -> String {
        let (name, note) = (host::quote(&self.node), self.note());
        let unit = host::quote(self.unit);
        let kubectl = format!(
            "/usr/local/bin/kubectl {} --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout 5s",
            kubectl::CACHE
        );
        format!(
            "stat -c %Y {note} || echo 0
systemctl is-active {unit}
since=$(systemctl show --property ActiveEnterTimestampMonotonic --value {unit})
now=$(cut -d. -f1 /proc/uptime); echo $((now - since / 1000000))
{kubectl} get lease --namespace kube-node-lease {name} --output 'jsonpath={{.spec.renewTime}}'; echo
{kubectl} get node {name} --output \
             'jsonpath={{range .status.conditions[?(@.type==\"Ready\")]}}{{.status}} {{.lastTransitionTime}}{{end}}'; echo"
        )
    }

    fn note(&self) -> String {
        host::quote(&format!("{NOTES}/{}", self.unit))
    }
}

#[async_trait]
impl Step for AwaitHeartbeat {
    fn id(&self) -> String {
        format!("heartbeat {}", self.node)
    }

    fn describe(&self) -> String {
        format!("wait for a heartbeat of {}", self.node)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let output = ask(cx, Command::script(self.script())).await?;
        let text = output.text();
        Ok(Said::read(&text)
            .map_or_else(|| State::needed(output.last_words()), |said| said.state()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("the kubelet of {} is not well: {reason}", self.node);
        note_unwell(cx, self.unit).await?;
        Err(with_last_lines(cx, self.unit, error).await)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = "1767225600"; // 2026-01-01T00:00:00Z

    fn state_of(service: &str, up: u64, heartbeat: &str, ready: &str) -> State {
        let text = format!("{STARTED}\n{service}\n{up}\n{heartbeat}\n{ready}\n");
        Said::read(&text).unwrap().state()
    }

    fn state(service: &str, heartbeat: &str, ready: &str) -> State {
        state_of(service, STEADY_SECONDS, heartbeat, ready)
    }

    #[test]
    fn a_heartbeat_of_one_that_was_only_just_started_says_nothing() {
        let ready = "True 2025-12-01T00:00:00Z";
        let young = State::needed("its service has only just been started");
        assert_eq!(state_of("active", STEADY_SECONDS - 1, AFTER, ready), young);
    }

    const BEFORE: &str = "2025-12-31T23:59:59.500000Z";
    const AFTER: &str = "2026-01-01T00:00:03.000000Z";

    #[test]
    fn a_running_service_is_no_heartbeat() {
        let ready = "True 2025-12-01T00:00:00Z";
        assert_eq!(state("active", AFTER, ready), State::Satisfied);
        let unheard = State::needed("the cluster has not heard of it since it was started");
        assert_eq!(state("active", BEFORE, ready), unheard);
        assert_eq!(state("active", "", ready), unheard);
        let dead = State::needed("its service is activating");
        assert_eq!(state("activating", AFTER, ready), dead);
    }

    #[test]
    fn one_that_was_not_started_anew_has_nothing_to_prove() {
        let text = |up: u64| format!("{STARTED}\nactive\n{up}\n\n\n");
        let unheard = |up: u64| Said::read(&text(up)).unwrap().state();
        let lacking = State::needed("the cluster has not heard of it since it was started");
        assert_eq!(unheard(SETTLED_SECONDS - 1), lacking);
        assert_eq!(unheard(SETTLED_SECONDS), State::Satisfied);
        // Where the cluster answers, it must have heard of it.
        let old = |heartbeat| {
            state_of(
                "active",
                SETTLED_SECONDS,
                heartbeat,
                "Unknown 2026-01-01T00:05:00Z",
            )
        };
        assert_eq!(old(BEFORE), lacking);
        assert_eq!(old(""), lacking);
    }

    #[test]
    fn a_node_must_be_as_ready_as_it_was() {
        let lost = State::needed("the node is not Ready any more");
        assert_eq!(state("active", AFTER, "False 2026-01-01T00:00:02Z"), lost);
        let never = "False 2025-12-01T00:00:00Z";
        assert_eq!(state("active", AFTER, never), State::Satisfied);
    }

    #[test]
    fn a_shell_reads_the_script() {
        let node = "node1".to_owned();
        crate::shell::reads(
            &AwaitHeartbeat {
                node,
                unit: "kubelet.service",
            }
            .script(),
        );
    }
}
