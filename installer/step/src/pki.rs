//! Certificates and their keys, made and judged on the operator's machine.
//!
//! Keys are ECDSA P-256 in PKCS#8 PEM, which Go and OpenSSL read alike.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use engine::StepError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use secrecy::zeroize::Zeroizing;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::local_file::{self, FileError};

/// Clocks of a site differ; a certificate made now must be valid on all of them.
const CLOCK_SKEW: time::Duration = time::Duration::hours(1);
/// A certificate is renewed when less than this is left of it, or less than a third of its life.
const RENEW_BEFORE: time::Duration = time::Duration::days(30);
const AUTHORITY_YEARS: i64 = 10;

/// Where a certificate and its key lie: `<stem>.crt` and `<stem>.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairFiles {
    stem: Utf8PathBuf,
}

impl KeyPairFiles {
    #[must_use]
    pub fn at(stem: impl Into<Utf8PathBuf>) -> Self {
        Self { stem: stem.into() }
    }

    #[must_use]
    pub fn certificate(&self) -> Utf8PathBuf {
        format!("{}.crt", self.stem).into()
    }

    #[must_use]
    pub fn key(&self) -> Utf8PathBuf {
        format!("{}.key", self.stem).into()
    }

    /// For sentences: `etcd/server`.
    pub(crate) fn title(&self) -> String {
        let name = self.stem.file_name().unwrap_or_default();
        match self.stem.parent().and_then(Utf8Path::file_name) {
            Some(dir) => format!("{dir}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
    Both,
}

impl Usage {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Self::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Self::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Self::Both => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
        }
    }

    const fn words(self) -> &'static str {
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
}

impl CertificateSpec {
    pub const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Valid for a year, for no name yet.
    #[must_use]
    pub fn new(common_name: impl Into<String>, usage: Usage) -> Self {
        Self {
            common_name: common_name.into(),
            organization: None,
            usage,
            dns: BTreeSet::new(),
            ips: BTreeSet::new(),
            valid_for: Self::YEAR,
        }
    }

    #[must_use]
    pub fn organization(mut self, organization: impl Into<String>) -> Self {
        self.organization = Some(organization.into());
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

    fn subject(&self) -> String {
        subject(Some(&self.common_name), self.organization.as_deref())
    }

    fn names(&self) -> BTreeSet<String> {
        self.dns.iter().cloned().chain(self.ips.iter().map(ToString::to_string)).collect()
    }
}

/// Why a certificate could not be made or an authority not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} holds no certificate: {why}")]
    NoCertificate { path: Utf8PathBuf, why: String },
    #[error("{path} holds no private key that can be read")]
    NoKey { path: Utf8PathBuf },
    #[error("there is a certificate authority in {certificate}, but its key {key} is missing")]
    KeyLost { certificate: Utf8PathBuf, key: Utf8PathBuf },
    #[error("{key} is not the key of {certificate}")]
    WrongKey { certificate: Utf8PathBuf, key: Utf8PathBuf },
    #[error("{certificate} is no certificate authority")]
    NoAuthority { certificate: Utf8PathBuf },
    #[error("the certificate authority in {certificate} has expired on {on}")]
    Expired { certificate: Utf8PathBuf, on: time::Date },
    #[error("there is no certificate authority in {certificate}")]
    Missing { certificate: Utf8PathBuf },
    #[error("cannot make the certificate '{subject}': {why}")]
    Make { subject: String, why: rcgen::Error },
}

impl PkiError {
    /// What to do about it. An authority is never replaced silently: everything that trusts it would break.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoCertificate { path, .. }
            | Self::NoKey { path }
            | Self::NoAuthority { certificate: path }
            | Self::KeyLost { certificate: path, .. }
            | Self::WrongKey { certificate: path, .. }
            | Self::Expired { certificate: path, .. } => {
                let dir = path.parent().unwrap_or(path);
                Some(format!(
                    "put the authority's certificate and key back from a backup; or move {dir} away, and a new \
                     authority is made whose certificates every host must get anew"
                ))
            }
            Self::Missing { .. } | Self::Make { .. } => None,
        }
    }
}

impl From<PkiError> for StepError {
    fn from(error: PkiError) -> Self {
        let step = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}

/// A certificate authority that can sign.
pub(crate) struct Authority {
    certificate: Vec<u8>,
    key: Zeroizing<KeyPair>,
}

/// What there is of an authority.
pub(crate) enum Found {
    Nothing,
    /// A run was killed before the certificate was written.
    KeyOnly(Zeroizing<KeyPair>),
    Whole(Authority),
}

impl Authority {
    /// Reads what there is, and insists that it can be used.
    pub fn find(files: &KeyPairFiles) -> Result<Found, PkiError> {
        let (certificate, key) = (files.certificate(), files.key());
        let pem = local_file::read(&certificate)?;
        let pair = read_key(&key)?;
        match (pem, pair) {
            (None, None) => Ok(Found::Nothing),
            (None, Some(pair)) => {
                pair.map(Found::KeyOnly).ok_or(PkiError::NoKey { path: key })
            }
            (Some(_), None) => Err(PkiError::KeyLost { certificate, key }),
            (Some(pem), Some(pair)) => {
                let der = der(&pem)
                    .map_err(|why| PkiError::NoCertificate { path: certificate.clone(), why })?;
                let pair = pair.ok_or_else(|| PkiError::NoKey { path: key.clone() })?;
                Self { certificate: der, key: pair }.insist(certificate, key).map(Found::Whole)
            }
        }
    }

    fn insist(self, certificate: Utf8PathBuf, key: Utf8PathBuf) -> Result<Self, PkiError> {
        let parsed = match parse(&self.certificate) {
            Ok(parsed) => parsed,
            Err(why) => return Err(PkiError::NoCertificate { path: certificate, why }),
        };
        let expires = parsed.validity().not_after.to_datetime();
        if !parsed.is_ca() {
            return Err(PkiError::NoAuthority { certificate });
        }
        if !belongs(&parsed, &self.key) {
            return Err(PkiError::WrongKey { certificate, key });
        }
        if expires <= OffsetDateTime::now_utc() {
            return Err(PkiError::Expired { certificate, on: expires.date() });
        }
        Ok(self)
    }

    /// Writes a new authority. A key that is there already is kept.
    pub fn create(
        files: &KeyPairFiles,
        common_name: &str,
        key: Option<Zeroizing<KeyPair>>,
    ) -> Result<(), PkiError> {
        let make = |why| PkiError::Make { subject: subject(Some(common_name), None), why };
        let mut params = params(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        params.not_after = params.not_before + time::Duration::days(AUTHORITY_YEARS * 365);
        let key = match key {
            Some(key) => key,
            None => {
                let key = Zeroizing::new(KeyPair::generate().map_err(make)?);
                write_key(&files.key(), &key)?;
                key
            }
        };
        let certificate = params.self_signed(&*key).map_err(make)?;
        local_file::write(&files.certificate(), 0o644, certificate.pem().as_bytes())?;
        Ok(())
    }

    /// Writes a new key and a certificate for it. The key comes first: a certificate that is there has its key.
    pub fn issue(&self, files: &KeyPairFiles, spec: &CertificateSpec) -> Result<(), PkiError> {
        let make = |why| PkiError::Make { subject: spec.subject(), why };
        let mut params = params(&spec.common_name, spec.organization.as_deref());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = spec.usage.purposes();
        params.use_authority_key_identifier_extension = true;
        for name in &spec.dns {
            let name = name.as_str().try_into().map_err(make)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(spec.ips.iter().copied().map(SanType::IpAddress));
        let life = i64::try_from(spec.valid_for.as_secs()).unwrap_or(i64::MAX);
        params.not_after = OffsetDateTime::now_utc()
            .saturating_add(time::Duration::seconds(life))
            .min(self.not_after());
        let issuer = Issuer::from_ca_cert_der(&self.certificate.as_slice().into(), &*self.key)
            .map_err(make)?;
        let key = Zeroizing::new(KeyPair::generate().map_err(make)?);
        let certificate = params.signed_by(&*key, &issuer).map_err(make)?;
        write_key(&files.key(), &key)?;
        local_file::write(&files.certificate(), 0o644, certificate.pem().as_bytes())?;
        Ok(())
    }

    /// Why a certificate has to be made anew; none if it will do.
    pub fn fault(
        &self,
        files: &KeyPairFiles,
        spec: &CertificateSpec,
    ) -> Result<Option<String>, PkiError> {
        let Some(pem) = local_file::read(&files.certificate())? else {
            return Ok(Some("there is none yet".to_owned()));
        };
        let key = match read_key(&files.key())? {
            None => return Ok(Some("its key is missing".to_owned())),
            Some(None) => return Ok(Some("its key cannot be read".to_owned())),
            Some(Some(key)) => key,
        };
        let der = match der(&pem) {
            Ok(der) => der,
            Err(why) => return Ok(Some(format!("it cannot be read: {why}"))),
        };
        let certificate = match parse(&der) {
            Ok(certificate) => certificate,
            Err(why) => return Ok(Some(format!("it cannot be read: {why}"))),
        };
        Ok(if belongs(&certificate, &key) {
            self.objection(&certificate, spec)
        } else {
            Some("its key belongs to another certificate".to_owned())
        })
    }

    fn objection(&self, found: &X509Certificate<'_>, spec: &CertificateSpec) -> Option<String> {
        if !self.signed(found) {
            return Some("another authority signed it".to_owned());
        }
        let (is, wanted) = (subject_of(found), spec.subject());
        if is != wanted {
            return Some(format!("subject differs: {is}, not {wanted}"));
        }
        let (is, wanted) = (names_of(found), spec.names());
        if is != wanted {
            return Some(format!("SANs differ: {}", difference(&is, &wanted)));
        }
        let (is, wanted) = (usage_of(found), Some(spec.usage));
        if is != wanted {
            let is = is.map_or("neither server nor client", Usage::words);
            return Some(format!("usage differs: {is}, not {}", spec.usage.words()));
        }
        let left = found.validity().not_after.to_datetime() - OffsetDateTime::now_utc();
        let third = time::Duration::try_from(spec.valid_for / 3).unwrap_or(RENEW_BEFORE);
        let at_least = RENEW_BEFORE.min(third);
        if left <= time::Duration::ZERO {
            Some("it has expired".to_owned())
        } else if left < at_least {
            Some(format!("it expires in {}", days(left)))
        } else {
            None
        }
    }

    fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        parse(&self.certificate).is_ok_and(|authority| {
            certificate.issuer() == authority.subject()
                && certificate.verify_signature(Some(authority.public_key())).is_ok()
        })
    }

    fn not_after(&self) -> OffsetDateTime {
        parse(&self.certificate)
            .map_or(OffsetDateTime::UNIX_EPOCH, |own| own.validity().not_after.to_datetime())
    }
}

fn params(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut serial: [u8; 16] = rand::random();
    // A serial number is positive and does not begin with a zero byte.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = OffsetDateTime::now_utc() - CLOCK_SKEW;
    params
}

fn der(pem: &[u8]) -> Result<Vec<u8>, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).map_err(|error| error.to_string())?;
    let Pem { label, contents } = pem;
    if label != "CERTIFICATE" {
        return Err(format!("it holds a {label}"));
    }
    parse(&contents)?;
    Ok(contents)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| error.to_string())
}

/// None if there is no such file; `Some(None)` if what it holds is no key.
fn read_key(path: &Utf8Path) -> Result<Option<Option<Zeroizing<KeyPair>>>, FileError> {
    let Some(bytes) = local_file::read(path)?.map(Zeroizing::new) else { return Ok(None) };
    let key = std::str::from_utf8(&bytes).ok().and_then(|pem| KeyPair::from_pem(pem).ok());
    Ok(Some(key.map(Zeroizing::new)))
}

fn write_key(path: &Utf8Path, key: &KeyPair) -> Result<(), FileError> {
    let pem = Zeroizing::new(key.serialize_pem());
    local_file::write(path, 0o600, pem.as_bytes())
}

fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

fn subject(common_name: Option<&str>, organization: Option<&str>) -> String {
    let organization = organization.map(|name| format!("O={name}"));
    let common_name = common_name.map(|name| format!("CN={name}"));
    organization.into_iter().chain(common_name).collect::<Vec<_>>().join(", ")
}

fn subject_of(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.subject();
    let common_name = name.iter_common_name().next().and_then(|part| part.as_str().ok());
    let organization = name.iter_organization().next().and_then(|part| part.as_str().ok());
    subject(common_name, organization)
}

fn names_of(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
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

fn usage_of(certificate: &X509Certificate<'_>) -> Option<Usage> {
    let usage = certificate.extended_key_usage().ok()??;
    match (usage.value.server_auth, usage.value.client_auth) {
        (true, true) => Some(Usage::Both),
        (true, false) => Some(Usage::Server),
        (false, true) => Some(Usage::Client),
        (false, false) => None,
    }
}

fn difference(is: &BTreeSet<String>, wanted: &BTreeSet<String>) -> String {
    let list = |names: Vec<&String>| {
        names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let missing: Vec<_> = wanted.difference(is).collect();
    let extra: Vec<_> = is.difference(wanted).collect();
    match (missing.is_empty(), extra.is_empty()) {
        (_, true) => format!("lacks {}", list(missing)),
        (true, false) => format!("has {} too many", list(extra)),
        (false, false) => format!("lacks {}, has {} too many", list(missing), list(extra)),
    }
}

fn days(left: time::Duration) -> String {
    match left.whole_days() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
