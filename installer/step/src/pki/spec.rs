use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
    Both,
}

impl Usage {
    pub(super) fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::Both => {
                vec![
                    ExtendedKeyUsagePurpose::ServerAuth,
                    ExtendedKeyUsagePurpose::ClientAuth,
                ]
            }
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "server and client",
        }
    }
}

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSpec {
    pub common_name: String,
    /// Kubernetes reads it as the group.
    pub organization: Option<String>,
    pub usage: Usage,
    pub dns: BTreeSet<String>,
    pub ips: BTreeSet<IpAddr>,
    /// Never beyond the life of the authority.
    pub valid_for: Duration,
    /// One that was made before is made anew, however long it is valid yet.
    pub not_older_than: Option<OffsetDateTime>,
}

impl CertificateSpec {
    /// As long as authorities live: a site without Internet has nobody who comes by every year.
    const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);

    /// Valid for ten years, for no name yet.
    #[must_use]
    pub fn new(common_name: impl Into<String>, usage: Usage) -> Self {
        Self {
            common_name: common_name.into(),
            organization: None,
            usage,
            dns: BTreeSet::new(),
            ips: BTreeSet::new(),
            valid_for: Self::TEN_YEARS,
            not_older_than: None,
        }
    }

    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
        self
    }

    /// Made anew by a renewal that has begun then.
    #[must_use]
    pub fn since(mut self, renewal: Option<OffsetDateTime>) -> Self {
        self.not_older_than = renewal;
        self
    }

    #[must_use]
    pub fn dns(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.dns.extend(names.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn ips(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.ips.extend(addresses);
        self
    }

    #[must_use]
    pub fn valid_for(mut self, valid_for: Duration) -> Self {
        self.valid_for = valid_for;
        self
    }

    pub(super) fn subject(&self) -> String {
        subject(Some(&self.common_name), self.organization.as_deref())
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.dns
            .iter()
            .cloned()
            .chain(self.ips.iter().map(ToString::to_string))
            .collect()
    }
}

pub(super) fn subject(common_name: Option<&str>, organization: Option<&str>) -> String {
    let organization = organization.map(|name| format!("O={name}"));
    let common_name = common_name.map(|name| format!("CN={name}"));
    organization
        .into_iter()
        .chain(common_name)
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn subject_of(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.subject();
    let common_name = name
        .iter_common_name()
        .next()
        .and_then(|part| part.as_str().ok());
    let organization = name
        .iter_organization()
        .next()
        .and_then(|part| part.as_str().ok());
    subject(common_name, organization)
}

pub(super) fn names_of(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => address(bytes).map_or_else(
                || format!("{} bytes that are no address", bytes.len()),
                |address| address.to_string(),
            ),
            other => other.to_string(),
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

pub(super) fn usage_of(certificate: &X509Certificate<'_>) -> Option<Usage> {
    let usage = certificate.extended_key_usage().ok()??;
    match (usage.value.server_auth, usage.value.client_auth) {
        (true, true) => Some(Usage::Both),
        (true, false) => Some(Usage::Server),
        (false, true) => Some(Usage::Client),
        (false, false) => None,
    }
}

pub(super) fn difference(is: &BTreeSet<String>, wanted: &BTreeSet<String>) -> String {
    let list = |names: Vec<&String>| {
        names
            .into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let missing: Vec<_> = wanted.difference(is).collect();
    let extra: Vec<_> = is.difference(wanted).collect();
    match (missing.is_empty(), extra.is_empty()) {
        (_, true) => format!("lacks {}", list(missing)),
        (true, false) => format!("has {} too many", list(extra)),
        (false, false) => format!("lacks {}, has {} too many", list(missing), list(extra)),
    }
}
