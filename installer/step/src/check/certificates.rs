use async_trait::async_trait;
use engine::{Asks, Cx, Question, State, StepError};
use host::Command;
use time::OffsetDateTime;
use x509_parser::pem::Pem;

use super::count;
use crate::shell::must;

/// Every certificate on a host is valid for some time yet. The host hands out certificates alone, never a key; they are
/// judged here.
pub struct ProveCertificates;

/// Less is a failure, for whoever reads it has to act at once.
const FAILS_BELOW: i64 = 7;
/// Less is worth a warning.
const WARNS_BELOW: i64 = 30;

/// Files of certificates, then kubeconfigs that carry one. A file that holds a key as well is cut to its certificates.
const SCRIPT: &str = r#"
for file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /etc/etcd/pki/*.crt \
            /etc/kubexm-registry/*.crt /var/lib/kubelet/pki/kubelet-client-current.pem \
            /var/lib/kubelet/pki/kubelet-server-current.pem; do
  [ -f "$file" ] || continue
  echo "== $file"
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$file"
done
for file in /etc/kubernetes/*.conf; do
  [ -f "$file" ] || continue
  data=$(sed -n 's/^ *client-certificate-data: *//p' "$file" | tr -d '"' | head -n 1)
  [ -n "$data" ] || continue
  echo "== $file"
  printf '%s' "$data" | base64 -d
done
"#;

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
        let output = must(cx, "read the certificates", Command::script(SCRIPT)).await?;
        let lives = lives(&output.text(), OffsetDateTime::now_utc())?;
        let below = |days: i64| -> Vec<String> {
            let short = lives.iter().filter(|life| life.days < days);
            short.map(Life::told).collect()
        };
        let failing = below(FAILS_BELOW);
        if !failing.is_empty() {
            return Err(StepError::new(failing.join("\n")).with_hint(
                "renew them by running install again; kubeadm's own with kubeadm certs renew all, on each master",
            ));
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
    fn told(&self) -> String {
        let Self { file, days } = self;
        match days {
            ..0 => format!("{file} ended {} ago", count(days.unsigned_abs(), "day")),
            0 => format!("{file} ends today"),
            _ => format!("{file} ends in {}", count(days.unsigned_abs(), "day")),
        }
    }
}

/// The certificates of the script's output; a file with several ends with the first that does.
fn lives(text: &str, now: OffsetDateTime) -> Result<Vec<Life>, StepError> {
    let mut lives = Vec::new();
    for part in text.split("== ").skip(1) {
        let (file, pem) = part.split_once('\n').unwrap_or((part, ""));
        let mut first: Option<i64> = None;
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let unreadable = || {
                StepError::new(format!("{file} holds what is no certificate"))
                    .with_hint("remove the file and run install again: it is made anew")
            };
            let block = block.map_err(|_| unreadable())?;
            let certificate = block.parse_x509().map_err(|_| unreadable())?;
            let left = certificate.validity().not_after.to_datetime() - now;
            let days = left.as_seconds_f64().div_euclid(86_400.0);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "days of a certificate's life"
            )]
            let days = days as i64;
            first = Some(first.map_or(days, |first| first.min(days)));
        }
        lives.extend(first.map(|days| Life {
            file: file.to_owned(),
            days,
        }));
    }
    Ok(lives)
}
