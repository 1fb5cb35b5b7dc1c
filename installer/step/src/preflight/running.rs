//! What install does not change on a cluster that runs: told before a part of it is another.

use engine::{Cx, StepError};
use host::Command;

use super::{FOUNDATION, Finding, OtherKubernetes, Requirements};
use crate::service::run::NOTES;
use crate::shell::ask;

/// Keys with which the cluster was begun otherwise.
pub(super) async fn find_changed(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    let Some(kept) = cx.host.read(FOUNDATION.into()).await? else {
        return Ok(Vec::new());
    };
    let kept = String::from_utf8_lossy(&kept);
    let lines = kept.lines().filter_map(|line| line.split_once(": "));
    let changed = lines.filter_map(|(key, begun)| {
        let now = wanted.foundation.get(key)?;
        (now != begun).then(|| {
            Finding::new(
                format!("its cluster was begun with {key}: {begun}, and the config says {now}"),
                "put it back: a cluster that runs keeps it. For another, delete the cluster and install it anew",
            )
        })
    });
    Ok(changed.collect())
}

/// Programs of Kubernetes that run here already, of another version.
pub(super) async fn find_other_version(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    if wanted.other_kubernetes == OtherKubernetes::Expected {
        return Ok(Vec::new());
    }
    let asked = &wanted.kubernetes;
    let script = format!(
        "for program in kubelet kube-apiserver; do [ ! -e {NOTES}/$program.service ] || \
         echo \"$program $(/usr/local/bin/$program --version)\"; done"
    );
    let answer = ask(cx, Command::script(script)).await?.text();
    let versions = answer.lines().filter_map(|line| {
        let (program, said) = line.split_once(' ')?;
        Some((program, said.rsplit(' ').next()?))
    });
    let other = versions
        .filter(|(_, version)| version.starts_with('v') && version != asked)
        .map(|(program, version)| {
            Finding::new(
                format!("its {program} is {version}, and the config asks for {asked}"),
                format!(
                    "install upgrades nothing: kubexm upgrade cluster BUNDLE -f CONFIG does; or set spec.kubernetes.version to {version}, and install from a bundle of it"
                ),
            )
        });
    Ok(other.collect())
}
