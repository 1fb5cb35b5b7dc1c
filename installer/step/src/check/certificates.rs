use async_trait::async_trait;
use engine::{Asks, Cx, Question, State, StepError};
use time::OffsetDateTime;

use super::count;
use crate::pki::{CertificateSeen, certificates_of};

/// Every certificate on a host is valid for some time yet. The host hands out certificates alone, never a key; they are
/// judged here.
pub struct ProveCertificates;

/// Less is a failure, for whoever reads it has to act at once.
const FAILS_BELOW: i64 = 7;
/// Less is worth a warning.
const WARNS_BELOW: i64 = 30;

#[async_trait]
impl Question for ProveCertificates {
    fn id(&self) -> String {
        "prove certificates".to_owned()
    }

    fn describe(&self) -> String {
        "certificates are valid".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let now = OffsetDateTime::now_utc();
        let seen = certificates_of(cx).await?;
        let lives: Vec<Life> = seen.iter().map(|seen| Life::of(seen, now)).collect();
        let below = |days: i64| -> Vec<String> {
            let short = lives.iter().filter(|life| life.days < days);
            short.map(Life::told).collect()
        };
        let failing = below(FAILS_BELOW);
        if !failing.is_empty() {
            return Err(
                StepError::new(failing.join("\n")).with_hint("renew them: kubexm certs renew")
            );
        }
        let warning = below(WARNS_BELOW);
        let all = count(lives.len() as u64, "certificate");
        let first = lives.iter().min_by_key(|life| life.days);
        let (seen, warning) = match first {
            None => ("none on this host".to_owned(), None),
            Some(first) if warning.is_empty() => {
                (format!("{all}; the first: {}", first.told()), None)
            }
            Some(_) => (all, Some(warning.join("\n"))),
        };
        cx.progress.seen(seen, warning);
        Ok(State::Satisfied)
    }
}

/// How long a certificate is valid yet.
struct Life {
    file: String,
    days: i64,
}

impl Life {
    fn of(seen: &CertificateSeen, now: OffsetDateTime) -> Self {
        Self {
            file: seen.path.clone(),
            days: seen.days_left(now),
        }
    }

    fn told(&self) -> String {
        let Self { file, days } = self;
        match days {
            ..0 => format!("{file} ended {} ago", count(days.unsigned_abs(), "day")),
            0 => format!("{file} ends today"),
            _ => format!("{file} ends in {}", count(days.unsigned_abs(), "day")),
        }
    }
}
