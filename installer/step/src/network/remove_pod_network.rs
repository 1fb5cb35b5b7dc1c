use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;
use ipnet::IpNet;

use crate::shell::{ask, must};
use crate::system::recognise_host::Mark;

/// What a network of pods leaves on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodNetworkTraces {
    /// `calico`
    pub name: &'static str,
    /// Files and directories; the shell's patterns.
    pub paths: &'static [&'static str],
    /// Names of interfaces; the shell's patterns.
    pub links: &'static [&'static str],
    /// The marks of its routes. Others' may bear them as well, as those of a BIRD that the site runs itself.
    pub protocols: &'static [&'static str],
    /// Interfaces that stay, and that nobody else leads routes through.
    pub through: &'static [&'static str],
    /// What is in every rule and chain of its own, and in nobody else's.
    pub rules: &'static [&'static str],
}

/// Takes away what a network of pods left on a node, once no pod is on it any more. It goes by names, and so only under the
/// cluster's mark.
pub struct RemovePodNetwork {
    pub traces: PodNetworkTraces,
    pub pods: Vec<IpNet>,
}

/// Finds each trace and hands it to `found`: one word for its kind, then the thing itself.
const FIND: &str = r#"set -e
PATH=$PATH:/usr/sbin:/sbin
paths() { for path in $paths; do if [ -e "$path" ]; then found path "$path"; fi; done; }
links() { ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | while read -r link; do for name in $links; do
	case $link in $name) found link "$link" ;; esac; done; done; }
# Those through an interface that goes go with it.
routes() { for protocol in $protocols; do
	for network in $networks; do
		case $network in *:*) family=-6 ;; *) family=-4 ;; esac
		route "$family" proto "$protocol" root "$network"
	done
	for link in $through; do for family in -4 -6; do route "$family" proto "$protocol" dev "$link"; done; done
	done; }
route() { if [ -n "$(ip "$1" route show table all "$2" "$3" "$4" "$5" 2>/dev/null)" ]; then found route "$*"; fi; }
rules() { for mark in $rules; do for program in iptables ip6tables; do
	if $program-save 2>/dev/null | grep -q -e "$mark"; then found rule "$program $mark"; fi; done; done; }
"#;

const SHOW: &str = r#"found() { echo "$2"; }"#;

const REMOVE: &str = r#"found() {
	case $1 in
	# What is mounted below it is not its own.
	path) while read -r _ at _; do case $at in "$2" | "$2"/*) umount "$at" ;; esac; done </proc/mounts; rm -rf "$2" ;;
	# One of a pair takes the other with it.
	link) ip link delete "$2" 2>/dev/null || ! ip link show "$2" >/dev/null 2>&1 ;;
	route) set -- $2; ip "$1" route flush table all "$2" "$3" "$4" "$5" ;;
	rule) set -- $2; $1-save | grep -v -e "$2" | $1-restore -w ;;
	esac
}"#;

impl RemovePodNetwork {
    /// Routes and rules are looked for before the interfaces that they name go.
    fn script(&self, found: &str) -> String {
        let PodNetworkTraces {
            paths,
            links,
            protocols,
            through,
            rules,
            ..
        } = self.traces;
        let networks: Vec<String> = self.pods.iter().map(ToString::to_string).collect();
        format!(
            "{FIND}{found}\npaths='{}' links='{}' protocols='{}' networks='{}' through='{}' rules='{}'\n\
             rules; routes; links; paths",
            paths.join(" "),
            links.join(" "),
            protocols.join(" "),
            networks.join(" "),
            through.join(" "),
            rules.join(" ")
        )
    }
}

#[async_trait]
impl Step for RemovePodNetwork {
    fn id(&self) -> String {
        format!("remove {}", self.traces.name)
    }

    fn describe(&self) -> String {
        format!("remove what {} left on the node", self.traces.name)
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.traces, self.pods)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if Mark::of(cx).await? != Mark::Host {
            return Ok(State::Satisfied);
        }
        let found = ask(cx, Command::script(self.script(SHOW))).await?.text();
        Ok(match found.lines().next() {
            None => State::Satisfied,
            Some(first) => State::needed(format!("{first} is there")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let trying = format!("remove what {} left", self.traces.name);
        must(cx, &trying, Command::script(self.script(REMOVE)))
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

    use super::*;
    use crate::preflight::MARKER;
    use crate::shell::reads;

    const TRACES: PodNetworkTraces = PodNetworkTraces {
        name: "calico",
        paths: &["/var/lib/calico"],
        links: &["cali*"],
        protocols: &["bird"],
        through: &["tunl0"],
        rules: &["cali-"],
    };

    fn remove() -> RemovePodNetwork {
        RemovePodNetwork {
            traces: TRACES,
            pods: vec![
                "10.233.64.0/18".parse().unwrap(),
                "fd85::/112".parse().unwrap(),
            ],
        }
    }

    #[tokio::test]
    async fn a_network_on_a_host_without_the_mark_is_somebody_elses() {
        let plugin = || FakeHost::new("node1").on("calico", 0, "/var/lib/calico\n");
        let marked = plugin().with_file(MARKER, "demo\n", 0o644);
        let needed = State::needed("/var/lib/calico is there");
        for (host, state) in [(plugin(), State::Satisfied), (marked, needed)] {
            let cx = Cx::new(Arc::new(host), Progress::unseen());
            assert_eq!(remove().check(&cx).await.unwrap(), state);
        }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        reads(&remove().script(SHOW));
        reads(&remove().script(REMOVE));
    }
}
