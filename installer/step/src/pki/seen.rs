//! The certificates of a host, as they lie there.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

use crate::local_file;
use crate::shell::must;

/// A certificate on a host: a file of its own, or in a kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSeen {
    pub path: String,
    /// Whom it names.
    pub subject: String,
    /// The common name of who has signed it.
    pub authority: String,
    /// It signs others itself.
    pub is_authority: bool,
    #[serde(serialize_with = "rfc3339")]
    pub ends: OffsetDateTime,
}

fn rfc3339<S: serde::Serializer>(time: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
    let timestamp = jiff::Timestamp::from_second(time.unix_timestamp());
    timestamp
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .serialize(to)
}

impl CertificateSeen {
    /// Below zero where it has ended.
    #[must_use]
    pub fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.ends - now).whole_seconds().div_euclid(86_400)
    }
}

/// Files of certificates, then kubeconfigs that carry one. A file that holds a key as well is cut to its certificates: no
/// key leaves the host.
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

/// Every certificate of this host.
pub(crate) async fn certificates_of(cx: &Cx) -> Result<Vec<CertificateSeen>, StepError> {
    let output = must(cx, "read the certificates", Command::script(SCRIPT)).await?;
    read(&output.text())
}

/// Those of the script's output; of a file with several, the one that ends first.
pub(crate) fn read(text: &str) -> Result<Vec<CertificateSeen>, StepError> {
    let mut seen = Vec::new();
    for part in text.split("== ").skip(1) {
        let (file, pem) = part.split_once('\n').unwrap_or((part, ""));
        let mut first: Option<CertificateSeen> = None;
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let unreadable = || {
                StepError::new(format!("{file} holds what is no certificate"))
                    .with_hint("remove the file and run install again: it is made anew")
            };
            let block = block.map_err(|_| unreadable())?;
            let certificate = block.parse_x509().map_err(|_| unreadable())?;
            let one = of(file, &certificate);
            first = Some(match first {
                Some(first) if first.ends <= one.ends => first,
                _ => one,
            });
        }
        seen.extend(first);
    }
    Ok(seen)
}

fn of(file: &str, certificate: &X509Certificate<'_>) -> CertificateSeen {
    let common = |name: &x509_parser::x509::X509Name<'_>| {
        let mut names = name.iter_common_name();
        let name = names.next().and_then(|name| name.as_str().ok());
        name.unwrap_or("?").to_owned()
    };
    CertificateSeen {
        path: file.to_owned(),
        subject: common(certificate.subject()),
        authority: common(certificate.issuer()),
        is_authority: certificate.is_ca(),
        ends: certificate.validity().not_after.to_datetime(),
    }
}

/// Asks a host for its certificates.
pub struct LookAtCertificates {
    pub of: CertificatesOf,
    pub seen: Slot<Vec<CertificateSeen>>,
}

/// Where certificates are looked for.
#[derive(Clone, Debug)]
pub enum CertificatesOf {
    /// Where kubexm and kubeadm put them.
    Host,
    /// Below a directory of the operator's machine.
    Operator(Utf8PathBuf),
}

/// All below a directory, in the form of the script's output.
fn below(dir: &Utf8Path, text: &mut String) -> Result<(), StepError> {
    let Ok(entries) = dir.read_dir_utf8() else {
        return Ok(());
    };
    let mut paths: Vec<Utf8PathBuf> = entries
        .flatten()
        .map(camino::Utf8DirEntry::into_path)
        .collect();
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            below(&path, text)?;
            continue;
        }
        let Some(bytes) = local_file::read(&path)? else {
            continue;
        };
        let content = Zeroizing::new(String::from_utf8(bytes).unwrap_or_default());
        let pem = match path.extension() {
            Some("crt") => content.to_string(),
            Some("conf") => match embedded(&content) {
                Some(pem) => pem,
                None => continue,
            },
            _ => continue,
        };
        let _ = writeln!(text, "== {path}\n{pem}");
    }
    Ok(())
}

/// The client's certificate that a kubeconfig carries.
fn embedded(kubeconfig: &str) -> Option<String> {
    let mut lines = kubeconfig.lines().map(str::trim_start);
    let data = lines.find_map(|line| line.strip_prefix("client-certificate-data:"))?;
    let pem = STANDARD.decode(data.trim().trim_matches('"')).ok()?;
    String::from_utf8(pem).ok()
}

#[async_trait]
impl Step for LookAtCertificates {
    fn id(&self) -> String {
        "look at certificates".to_owned()
    }

    fn describe(&self) -> String {
        "ask for the certificates".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.seen.fill(match &self.of {
            CertificatesOf::Host => certificates_of(cx).await?,
            CertificatesOf::Operator(dir) => {
                let mut text = String::new();
                below(dir, &mut text)?;
                read(&text)?
            }
        });
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
