//! With what a cluster was made and cannot go on without: told before another is put in its place.

use camino::Utf8PathBuf;
use engine::{Cx, StepError};
use futures::future::try_join_all;

use super::{Finding, Requirements};
use crate::local_file;
use crate::pki::share;

/// An authority, or the key of the service accounts, on the operator's machine and on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAuthority {
    /// Its certificate or its public half on the operator's machine.
    pub local: Utf8PathBuf,
    /// And where a host of the cluster has it.
    pub path: Utf8PathBuf,
}

/// Authorities of a cluster that runs, which the operator's machine has not, or has others in their place.
pub(super) async fn find_replaced(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    let reads = wanted
        .authorities
        .iter()
        .map(|kept| cx.host.read(&kept.path));
    let read = try_join_all(reads).await?;
    let mut findings = Vec::new();
    for (KeptAuthority { local, path }, theirs) in wanted.authorities.iter().zip(read) {
        let Some(theirs) = theirs else {
            continue;
        };
        let ours = local_file::read(local)?;
        let what = match ours {
            Some(ours) if share(&ours, &theirs) => continue,
            Some(_) => format!("its cluster was made with another {path} than {local}"),
            None => format!("its cluster was made with {path}, and {local} is not there"),
        };
        let directory = local.parent().unwrap_or(local);
        findings.push(Finding::new(
            what,
            format!(
                "put {directory} in place as it is on the machine that installed the cluster, or in its backup; where it is \
                 lost, `kubexm adopt` makes a new --work-dir from the hosts"
            ),
        ));
    }
    Ok(findings)
}
