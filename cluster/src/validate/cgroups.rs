//! Who makes the control groups of pods. Kubelet and runtime must say the same: otherwise each makes its own, and pods do not
//! start, or are killed for memory that the other has not counted.

use serde_json::Value;

use super::Check;
use crate::{KeyPath, RuntimeType};

const OF_KUBELET: &str = "spec.kubernetes.kubeletConfiguration.cgroupDriver";
const ARGS: &str = "spec.kubernetes.kubeletArgs";
const OF_CONTAINERD: &str = "spec.kubernetes.containerRuntime.containerd.config";
const SYSTEMD: &str = "systemd";
const CGROUPFS: &str = "cgroupfs";

pub(super) fn check(check: &mut Check<'_>) {
    let kubernetes = &check.cluster.spec.kubernetes;
    let runtime = &kubernetes.container_runtime;
    if runtime.kind != RuntimeType::Containerd || !check.sound(&[ARGS, OF_CONTAINERD]) {
        return;
    }
    let by_config = kubernetes.kubelet_configuration.get("cgroupDriver");
    let by_config = by_config.and_then(Value::as_str);
    let mut arguments = kubernetes.kubelet_args.iter();
    let by_argument = arguments.find_map(|argument| argument.strip_prefix("--cgroup-driver="));
    let of_runtime = match runtime.containerd.config.values().find_map(by_systemd) {
        Some(false) => CGROUPFS,
        Some(true) | None => SYSTEMD,
    };
    let of_kubelet = by_argument.or(by_config).unwrap_or(SYSTEMD);
    if of_kubelet == of_runtime {
        return;
    }
    let at = match (by_argument, by_config) {
        (Some(_), _) => ARGS,
        (None, Some(_)) => OF_KUBELET,
        (None, None) => OF_CONTAINERD,
    };
    check.error(
        KeyPath::of(at),
        format!("the kubelet would have {of_kubelet} make the control groups of pods, and containerd {of_runtime}"),
        "leave both out: kubexm sets systemd for both, as hosts that systemd runs need it".to_owned(),
    );
}

/// What `SystemdCgroup` says, however deep it lies.
fn by_systemd(value: &Value) -> Option<bool> {
    let table = value.as_object()?;
    let own = table.get("SystemdCgroup").and_then(Value::as_bool);
    own.or_else(|| table.values().find_map(by_systemd))
}
