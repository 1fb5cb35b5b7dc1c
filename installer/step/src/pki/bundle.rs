//! Files that hold several authorities, or public keys, one behind the other: the first is the one that signs now.

use std::collections::BTreeSet;

use artifact::Sha256;
use engine::StepError;
use x509_parser::pem::Pem;

use super::public_key;

/// The parts of a file, each as it stands there.
fn blocks(pem: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(pem);
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim_end) {
        if line.starts_with("-----BEGIN ") {
            open = Some(String::new());
        }
        let Some(block) = &mut open else { continue };
        block.push_str(line);
        block.push('\n');
        if line.starts_with("-----END ") {
            blocks.extend(open.take());
        }
    }
    blocks
}

/// What signs now, alone.
pub(crate) fn signer(pem: &[u8]) -> Option<String> {
    blocks(pem).into_iter().next()
}

/// The common name of the authority that signs now.
pub(crate) fn signer_name(pem: &[u8]) -> Option<String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem).ok()?;
    let Pem { contents, .. } = pem;
    let certificate = super::files::parse(&contents).ok()?;
    let mut names = certificate.subject().iter_common_name();
    Some(names.next()?.as_str().ok()?.to_owned())
}

/// All that is in it, in one form, whatever the order.
pub(crate) fn members(pem: &[u8]) -> BTreeSet<String> {
    blocks(pem).into_iter().collect()
}

/// Whether two files have one in common: a certificate that was made anew for the same key is the same authority.
pub(crate) fn share(ours: &[u8], theirs: &[u8]) -> bool {
    let keys = |pem: &[u8]| -> BTreeSet<Vec<u8>> {
        let of = |block: &String| {
            let block = block.as_bytes();
            public_key(block).unwrap_or_else(|_| block.to_vec())
        };
        members(pem).iter().map(of).collect()
    };
    ours == theirs || !keys(ours).is_disjoint(&keys(theirs))
}

/// Stands for what clients of the cluster hold: the authorities, and by whose key their tokens are signed.
pub(crate) fn digest_of_trust(authorities: &[u8], accounts: &[u8]) -> Result<String, StepError> {
    let signer = signer(accounts)
        .ok_or_else(|| StepError::new("the key of the service accounts has no public half here"))?;
    let all: String = members(authorities).into_iter().chain([signer]).collect();
    Ok(Sha256::of(all.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{name}\n-----END PUBLIC KEY-----\n")
    }

    #[test]
    fn the_first_signs_and_the_order_is_none_of_trust() {
        let (old, new) = (block("old"), block("new"));
        let (both, turned) = (format!("{old}{new}"), format!("{new}\n{old}"));
        assert_eq!(signer(both.as_bytes()), Some(old.clone()));
        assert_eq!(signer(turned.as_bytes()), Some(new.clone()));
        assert_eq!(members(both.as_bytes()), members(turned.as_bytes()));
        assert_eq!(signer(b"nothing"), None);
        let trust = |authorities: &str, accounts: &str| {
            digest_of_trust(authorities.as_bytes(), accounts.as_bytes()).unwrap()
        };
        assert_eq!(trust(&both, &old), trust(&turned, &old));
        assert_ne!(trust(&both, &old), trust(&both, &new));
        assert_ne!(trust(&both, &old), trust(&new, &old));
        assert!(digest_of_trust(both.as_bytes(), b"").is_err());
    }

    #[test]
    fn a_cluster_is_the_same_as_long_as_one_authority_is() {
        let (old, new) = (block("old"), block("new"));
        let both = format!("{old}{new}");
        assert!(share(old.as_bytes(), both.as_bytes()));
        assert!(share(both.as_bytes(), new.as_bytes()));
        assert!(!share(old.as_bytes(), new.as_bytes()));
        assert!(share(b"torn", b"torn") && !share(b"torn", b"other"));
    }
}
