use std::net::IpAddr;

use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};
use host::Command;

use crate::shell::must;

/// Whom a node would have its pods ask for names that the cluster does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolvers {
    /// DNS servers that a pod can ask as well.
    Reachable,
    /// Nobody, or an address that means somebody else in a pod: the pod itself.
    Unreachable,
}

/// Looks whether a node knows of DNS servers: a site without a route out may have none, and then coredns must not be
/// told to ask them, for it would end.
pub struct LookForResolvers {
    /// The files that name them: the first that is there counts.
    pub files: &'static [&'static str],
    pub found: Slot<Resolvers>,
}

impl Resolvers {
    fn of(resolv_conf: &str) -> Self {
        let is_reachable = |address: &str| {
            let address = address.split('%').next().unwrap_or(address);
            let ip = address.parse::<IpAddr>();
            ip.is_ok_and(|ip| !ip.is_loopback() && !ip.is_unspecified())
        };
        let mut servers = resolv_conf.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|word| *word == "nameserver")?;
            words.next()
        });
        // One that leads back to coredns is enough for it to end.
        let first = servers.next().is_some_and(is_reachable);
        if first && servers.all(is_reachable) {
            Self::Reachable
        } else {
            Self::Unreachable
        }
    }
}

#[async_trait]
impl Question for LookForResolvers {
    fn id(&self) -> String {
        "look for resolvers".to_owned()
    }

    fn describe(&self) -> String {
        "look for the DNS servers of the host".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.found.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let files: Vec<String> = self.files.iter().map(|file| host::quote(file)).collect();
        let script = format!(
            "for file in {}; do [ ! -f \"$file\" ] || {{ cat \"$file\"; exit; }}; done",
            files.join(" ")
        );
        let trying = "read which DNS servers the host asks";
        let text = must(cx, trying, Command::script(script)).await?.text();
        self.found.fill(Resolvers::of(&text));
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_reaches_no_resolver_of_the_hosts_own() {
        for (text, found) in [
            ("nameserver 10.0.0.1\n", Resolvers::Reachable),
            (
                "search a.b\n  nameserver\tfe80::1%eth0\n",
                Resolvers::Reachable,
            ),
            (
                "nameserver 10.0.0.1\nnameserver 127.0.0.1",
                Resolvers::Unreachable,
            ),
            ("nameserver ::1\n", Resolvers::Unreachable),
            (
                "# nameserver 10.0.0.1\nnameserver\n",
                Resolvers::Unreachable,
            ),
            ("", Resolvers::Unreachable),
        ] {
            assert_eq!(Resolvers::of(text), found, "{text}");
        }
    }
}
