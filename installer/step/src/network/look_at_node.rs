use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};
use host::Command;

use crate::shell::ask;

/// Looks for what on a node may stand in the way of its pods' network. It is no error: whoever finds that the network does
/// not work names it.
pub struct LookAtNodeNetwork {
    /// The configuration of the network's own plugin: `/etc/cni/net.d/10-calico.conflist`. None where it is not known.
    pub config: Option<&'static str>,
    pub seen: Slot<NodeObstacles>,
}

/// What may stand in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeObstacles(Vec<Obstacle>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// The configuration of another network, before that of the plugin.
    Config(String),
    Firewall(String),
    /// A kernel that forwards nothing, by this parameter.
    Closed(String),
    /// The policy of this chain drops what no rule takes.
    Drops(String),
}

impl NodeObstacles {
    fn read(text: &str) -> Self {
        let obstacle = |line: &str| {
            let (kind, name) = line.split_once(' ')?;
            let name = name.to_owned();
            Some(match kind {
                "config" => Obstacle::Config(name),
                "firewall" => Obstacle::Firewall(name),
                "closed" => Obstacle::Closed(name),
                "drops" => Obstacle::Drops(name),
                _ => return None,
            })
        };
        Self(text.lines().filter_map(obstacle).collect())
    }

    /// What is wrong even where the network works: with the next start of the runtime it will not.
    fn foreign(&self, node: &str) -> Option<String> {
        let configs = self.0.iter();
        let configs = configs.filter(|obstacle| matches!(obstacle, Obstacle::Config(_)));
        let configs = Self(configs.cloned().collect()).told(node);
        (!configs.is_empty()).then(|| configs.join("\n"))
    }

    /// What is to be told of this node.
    pub(crate) fn told(&self, node: &str) -> Vec<String> {
        let line = |obstacle: &Obstacle| match obstacle {
            Obstacle::Config(file) => {
                format!(
                    "{file} on {node} comes before the configuration of the network plugin: remove it"
                )
            }
            Obstacle::Firewall(name) => format!(
                "{name} is active on {node}: it must let nodes and their pods reach each other"
            ),
            Obstacle::Closed(name) => format!("{node} forwards no packets: {name} is 0"),
            Obstacle::Drops(chain) => format!(
                "iptables on {node} drops what it is to forward: the policy of {chain} is DROP, as docker leaves it"
            ),
        };
        self.0.iter().map(line).collect()
    }
}

const SCRIPT: &str = include_str!("look_at_node.sh");

#[async_trait]
impl Question for LookAtNodeNetwork {
    fn id(&self) -> String {
        "look at the node's network".to_owned()
    }

    fn describe(&self) -> String {
        "look for what stands in the way of the pods' network".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let argv = ["sh", "-c", SCRIPT, "look"].into_iter().chain(self.config);
        let answer = ask(cx, Command::new(argv)).await?;
        let seen = NodeObstacles::read(&answer.text());
        let told = seen.told(cx.host.name());
        let text = match told.len() {
            0 => "nothing".to_owned(),
            _ => format!("{} that may", told.len()),
        };
        cx.progress.seen(text, seen.foreign(cx.host.name()));
        self.seen.fill(seen);
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// What a shell answers on a node with these files of CNI, and these programs.
    fn told(files: &[&str], programs: &[(&str, &str)]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (bin, net) = (dir.path().join("bin"), dir.path().join("net.d"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&net).unwrap();
        for name in files {
            fs::write(net.join(name), "{}").unwrap();
        }
        for (name, body) in programs {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = Command::new("sh")
            .args(["-c", SCRIPT, "look"])
            .arg(net.join("10-calico.conflist"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .output()
            .unwrap();
        assert!(output.status.success());
        let answer = String::from_utf8(output.stdout).unwrap();
        let obstacles = NodeObstacles::read(&answer);
        let lines = obstacles.told("node2").join("\n");
        // That of this machine is what it is.
        let lines = lines.lines().filter(|line| !line.contains("ip_forward"));
        let lines: Vec<&str> = lines.collect();
        lines
            .join("\n")
            .replace(net.to_str().unwrap(), "/etc/cni/net.d")
    }

    const QUIET: [(&str, &str); 3] = [
        ("systemctl", "exit 3"),
        ("ufw", "exit 1"),
        ("iptables", "exit 1"),
    ];

    #[test]
    fn a_configuration_that_comes_first_is_another_network() {
        let own = [
            "10-calico.conflist",
            "87-podman.conflist",
            "calico-kubeconfig",
        ];
        assert_eq!(told(&own, &QUIET), "");
        let foreign = ["05-cilium.conf", "10-calico.conflist"];
        insta::assert_snapshot!(told(&foreign, &QUIET), @"/etc/cni/net.d/05-cilium.conf on node2 comes before the configuration of the network plugin: remove it");
        // Also before the plugin has written its own.
        assert_eq!(told(&foreign[..1], &QUIET), told(&foreign, &QUIET));
        assert_eq!(told(&["87-podman.conflist"], &QUIET), "");
    }

    #[test]
    fn what_filters_packets_is_told_of() {
        let programs = [
            ("systemctl", "[ \"$*\" = 'is-active --quiet firewalld' ]"),
            ("ufw", "echo 'Status: active'"),
            ("iptables", "echo '-P FORWARD DROP'"),
        ];
        insta::assert_snapshot!(told(&[], &programs), @r"
        firewalld is active on node2: it must let nodes and their pods reach each other
        ufw is active on node2: it must let nodes and their pods reach each other
        iptables on node2 drops what it is to forward: the policy of FORWARD is DROP, as docker leaves it
        ");
    }
}
