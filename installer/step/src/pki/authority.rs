use camino::Utf8PathBuf;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use secrecy::zeroize::Zeroizing;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;

use super::files::{KeyFile, der, parse, read_key, write_key};
use super::spec::{difference, names_of, subject, subject_of, usage_of};
use super::{CertificateSpec, KeyPairFiles, PkiError, Usage};
use crate::local_file;

/// Clocks of a site differ; a certificate made now must be valid on all of them.
const CLOCK_SKEW: time::Duration = time::Duration::hours(1);
/// A certificate is renewed when less than this is left of it, or less than a third of its life.
const RENEW_BEFORE: time::Duration = time::Duration::days(30);
/// An authority is not renewed: whoever has to replace it needs time.
const WARN_BEFORE: time::Duration = time::Duration::days(90);
const AUTHORITY_YEARS: i64 = 10;

/// A certificate authority. Without its key it can still tell what it has signed.
pub(crate) struct Authority {
    certificate: Vec<u8>,
    key: Option<Zeroizing<KeyPair>>,
    /// For messages.
    files: KeyPairFiles,
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
            (_, KeyFile::Unreadable) => Err(PkiError::NoKey { path: key }),
            (None, KeyFile::Missing) => Ok(Found::Nothing),
            (None, KeyFile::Key(pair)) => Ok(Found::KeyOnly(pair)),
            (Some(pem), pair) => {
                let der = der(&pem).map_err(|why| PkiError::NoCertificate {
                    path: certificate.clone(),
                    why,
                })?;
                Self {
                    certificate: der,
                    key: match pair {
                        KeyFile::Key(pair) => Some(pair),
                        KeyFile::Missing | KeyFile::Unreadable => None,
                    },
                    files: files.clone(),
                }
                .insist(certificate, key)
                .map(Found::Whole)
            }
        }
    }

    fn insist(self, certificate: Utf8PathBuf, key: Utf8PathBuf) -> Result<Self, PkiError> {
        let parsed = match parse(&self.certificate) {
            Ok(parsed) => parsed,
            Err(why) => {
                return Err(PkiError::NoCertificate {
                    path: certificate,
                    why,
                });
            }
        };
        let expires = parsed.validity().not_after.to_datetime();
        if !parsed.is_ca() {
            return Err(PkiError::NoAuthority { certificate });
        }
        if self.key.as_ref().is_some_and(|own| !belongs(&parsed, own)) {
            return Err(PkiError::WrongKey { certificate, key });
        }
        if expires <= OffsetDateTime::now_utc() {
            return Err(PkiError::Expired {
                certificate,
                on: expires.date(),
            });
        }
        Ok(self)
    }

    /// Writes a new authority. A key that is there already is kept.
    pub fn create(
        files: &KeyPairFiles,
        common_name: &str,
        key: Option<Zeroizing<KeyPair>>,
    ) -> Result<(), PkiError> {
        let make = |why| PkiError::Make {
            subject: subject(Some(common_name), None),
            why,
        };
        let mut params = params(common_name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        params.not_after = params.not_before + time::Duration::days(AUTHORITY_YEARS * 365);
        let key = if let Some(key) = key {
            key
        } else {
            let key = Zeroizing::new(KeyPair::generate().map_err(make)?);
            write_key(&files.key(), &key)?;
            key
        };
        let certificate = params.self_signed(&*key).map_err(make)?;
        local_file::write(&files.certificate(), 0o644, certificate.pem().as_bytes())?;
        Ok(())
    }

    /// Writes a new key and a certificate for it. The key comes first: a certificate that is there has its key.
    pub fn issue(&self, files: &KeyPairFiles, spec: &CertificateSpec) -> Result<(), PkiError> {
        let make = |why| PkiError::Make {
            subject: spec.subject(),
            why,
        };
        let mut params = params(&spec.common_name, spec.organization.as_deref());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = spec.usage.purposes();
        params.use_authority_key_identifier_extension = true;
        for name in &spec.dns {
            let name = name.as_str().try_into().map_err(make)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params
            .subject_alt_names
            .extend(spec.ips.iter().copied().map(SanType::IpAddress));
        let life = i64::try_from(spec.valid_for.as_secs()).unwrap_or(i64::MAX);
        params.not_after = OffsetDateTime::now_utc()
            .saturating_add(time::Duration::seconds(life))
            .min(self.not_after());
        let Some(own) = &self.key else {
            return Err(PkiError::KeyLost {
                certificate: self.files.certificate(),
                key: self.files.key(),
            });
        };
        let issuer =
            Issuer::from_ca_cert_der(&self.certificate.as_slice().into(), &**own).map_err(make)?;
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
            KeyFile::Missing => return Ok(Some("its key is missing".to_owned())),
            KeyFile::Unreadable => return Ok(Some("its key cannot be read".to_owned())),
            KeyFile::Key(key) => key,
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
        // Nothing outlives its authority: one that ends with it is as good as they get.
        let lasts = found.validity().not_after.to_datetime() >= self.not_after();
        let made = found.validity().not_before.to_datetime() + CLOCK_SKEW;
        if left <= time::Duration::ZERO {
            Some("it has expired".to_owned())
        } else if spec.not_older_than.is_some_and(|since| made < since) {
            Some("it is of before this renewal".to_owned())
        } else if left < at_least && !lasts {
            Some(format!("it expires in {}", days(left)))
        } else {
            None
        }
    }

    fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        parse(&self.certificate).is_ok_and(|authority| {
            certificate.issuer() == authority.subject()
                && certificate
                    .verify_signature(Some(authority.public_key()))
                    .is_ok()
        })
    }

    pub fn can_sign(&self) -> bool {
        self.key.is_some()
    }

    /// How long it can sign yet, in words, where that is worth a warning.
    pub fn ends_soon(&self) -> Option<String> {
        let left = self.not_after() - OffsetDateTime::now_utc();
        (left < WARN_BEFORE).then(|| days(left))
    }

    fn not_after(&self) -> OffsetDateTime {
        parse(&self.certificate).map_or(OffsetDateTime::UNIX_EPOCH, |own| {
            own.validity().not_after.to_datetime()
        })
    }
}

fn params(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let mut serial: [u8; 16] = rand::random();
    // A serial number is positive and does not begin with a zero byte.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = OffsetDateTime::now_utc() - CLOCK_SKEW;
    params
}

fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

fn days(left: time::Duration) -> String {
    match left.whole_days() {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
