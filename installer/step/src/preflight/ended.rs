//! Certificates by which a cluster's programs know each other and which install does not sign anew: where one has ended, all
//! that follows would wait for a program that nobody lets in.

use engine::{Cx, StepError};
use jiff::Timestamp;
use time::OffsetDateTime;

use super::{Finding, Requirements};
use crate::pki::certificates_of;

/// What of a host's certificates has ended.
pub(super) async fn find_ended(cx: &Cx, wanted: &Requirements) -> Result<Vec<Finding>, StepError> {
    if wanted.certificates.is_empty() {
        return Ok(Vec::new());
    }
    let now = OffsetDateTime::now_utc();
    let seen = certificates_of(cx).await?;
    let ended = seen.into_iter().filter(|seen| {
        let is_asked = wanted
            .certificates
            .iter()
            .any(|at| seen.path.starts_with(at));
        is_asked && !seen.is_authority && seen.ends < now
    });
    let findings = ended.map(|seen| {
        let ends = Timestamp::from_second(seen.ends.unix_timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
        Finding::new(
            format!("its certificate {} has ended on {ends}", seen.path),
            "`kubexm certs renew` renews it, also where nothing of the cluster answers any more; then run install again",
        )
    });
    Ok(findings.collect())
}
