use super::Check;
use crate::{KeyPath, RegistryType, Tool};

/// What speaks to a runtime that no node has would do nothing there.
pub(super) fn check(check: &mut Check<'_>) {
    let spec = &check.cluster.spec;
    let runtime = spec.kubernetes.container_runtime.kind;
    if !check.sound(&["spec.tools", "spec.kubernetes.containerRuntime.type"]) {
        return;
    }
    let of_harbor = spec.registry.kind == RegistryType::Harbor;
    for (at, tool) in spec.tools.iter().flatten().enumerate() {
        let Some(speaks_to) = tool.speaks_to().filter(|spoken| *spoken != runtime) else {
            continue;
        };
        if *tool == Tool::DockerCompose && of_harbor {
            continue;
        }
        let name = tool.name();
        check.warn(
            KeyPath::of("spec.tools").index(at),
            format!(
                "{name} speaks to {speaks_to}, and the nodes run {runtime}: it travels, and no host gets it"
            ),
            format!("leave {name} out"),
        );
    }
}
