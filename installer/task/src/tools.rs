//! Programs to work with the cluster, on the hosts where they are of use.

mod buildkit;

use std::collections::BTreeSet;
use std::sync::Arc;

use cluster::{KubernetesType, NetworkPlugin, Role, RuntimeType, Tool};
use engine::{Step, Task};
use step::{CONTAINERD, LinkProgram};
use templates::{BashCompletion, NerdctlConfig};

use self::buildkit::buildkits;
use crate::files::{directory, text};
use crate::os::rendered;
use crate::site::names;
use crate::{Site, programs};

const PROGRAMS: &str = "/usr/local/bin";
/// Where docker finds commands that it has not itself.
pub(crate) const DOCKER_COMMANDS: &str = "/usr/local/lib/docker/cli-plugins";
const COMPLETIONS: &str = "/usr/local/share/bash-completion/completions";
/// Where containerd and what speaks to it learn whom to ask for images.
const REGISTRY_HOSTS: &str = "/etc/containerd/certs.d";

impl Site {
    /// The components of the tools that hosts get, but for what a network plugin brings by itself.
    pub(crate) fn tool_components(&self) -> Vec<&'static str> {
        let tools = self.tools_of_hosts().into_iter();
        let parts = tools.flat_map(|tool| tool.parts().components);
        parts.map(|part| part.component).collect()
    }

    fn tools_of_hosts(&self) -> BTreeSet<Tool> {
        let mut tools = self.cluster.tools_of_hosts();
        if self.cluster.spec.network.plugin == NetworkPlugin::Calico {
            tools.remove(&Tool::Calicoctl);
        }
        tools
    }
}

/// The programs themselves, and what bash completes them by.
#[must_use]
pub fn tools(site: &Site) -> Task {
    let task = Task::new("tools");
    let tools = site.tools_of_hosts();
    let nodes = site.runtime_hosts();
    let task = task.on_each(&names(nodes.iter().copied()), |name| {
        let is_master = site.cluster.is_in(name, Role::Master);
        let brought = tools.iter().filter(|tool| is_master || !of_masters(**tool));
        let mut steps: Vec<Arc<dyn Step>> = brought.flat_map(|tool| program(site, *tool)).collect();
        steps.extend(completions(site, &tools, is_master));
        steps
    });
    if tools.contains(&Tool::Buildkit) {
        task.roll(buildkits(site, &nodes))
    } else {
        task
    }
}

/// What speaks to the cluster, and not to the node.
const fn of_masters(tool: Tool) -> bool {
    matches!(tool, Tool::Helm | Tool::Calicoctl)
}

fn program(site: &Site, tool: Tool) -> Vec<Arc<dyn Step>> {
    match tool {
        Tool::Helm | Tool::Calicoctl => vec![programs::install(site, tool.name(), PROGRAMS)],
        Tool::Nerdctl => {
            let config = NerdctlConfig {
                socket: CONTAINERD.socket.to_owned(),
                hosts_dir: REGISTRY_HOSTS.to_owned(),
            };
            vec![
                programs::install(site, tool.name(), PROGRAMS),
                directory("/etc/nerdctl"),
                text("/etc/nerdctl/nerdctl.toml", rendered(&config)),
            ]
        }
        Tool::DockerCompose => docker_compose(site),
        // It is a service: it takes its turn.
        Tool::Buildkit => Vec::new(),
    }
}

/// As a command of docker's own, and by itself.
pub(crate) fn docker_compose(site: &Site) -> Vec<Arc<dyn Step>> {
    vec![
        directory("/usr/local/lib/docker"),
        directory(DOCKER_COMMANDS),
        programs::install(site, "docker-compose", DOCKER_COMMANDS),
        Arc::new(LinkProgram {
            path: format!("{PROGRAMS}/docker-compose").into(),
            target: "/usr/local/lib/docker/cli-plugins/docker-compose",
        }),
    ]
}

/// bash reads these when somebody completes such a command for the first time.
fn completions(site: &Site, tools: &BTreeSet<Tool>, is_master: bool) -> Vec<Arc<dyn Step>> {
    let spec = &site.cluster.spec;
    let by_kubeadm = spec.kubernetes.kind == KubernetesType::Kubeadm;
    let by_docker = spec.kubernetes.container_runtime.kind == RuntimeType::Docker;
    let known = [
        ("crictl", true),
        ("docker", by_docker),
        ("helm", is_master && tools.contains(&Tool::Helm)),
        ("kubeadm", by_kubeadm),
        ("kubectl", is_master),
        ("nerdctl", tools.contains(&Tool::Nerdctl)),
    ];
    let known = known.into_iter().filter(|(_, is_there)| *is_there);
    let files = known.map(|(program, _)| {
        let program = program.to_owned();
        let path = format!("{COMPLETIONS}/{program}");
        text(path, rendered(&BashCompletion { program }))
    });
    let below = ["/usr/local/share/bash-completion", COMPLETIONS].map(directory);
    below.into_iter().chain(files).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    /// What each host gets, but for directories and completions.
    fn brought(spec: &str) -> String {
        let site = site(spec);
        let tools = site.tools_of_hosts();
        let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
        let completed = |is_master| {
            let steps = completions(&site, &tools, is_master);
            let lines = steps.iter().map(|step| step.describe());
            let files = lines.filter_map(|line| Some(line.rsplit_once('/')?.1.to_owned()));
            files.skip(2).collect::<Vec<_>>().join(" ")
        };
        format!(
            "{}; masters complete {}; others {}",
            names.join(" "),
            completed(true),
            completed(false)
        )
    }

    #[test]
    fn hosts_get_what_speaks_to_their_runtime() {
        insta::assert_snapshot!(brought("{}"), @"helm nerdctl; masters complete crictl helm kubectl nerdctl; others crictl nerdctl");
        insta::assert_snapshot!(brought("tools: []"), @"; masters complete crictl kubectl; others crictl");
    }
}
