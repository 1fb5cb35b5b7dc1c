use artifact::Sha256;
use engine::StepError;

use crate::KeyPairFiles;
use crate::local_file;
use crate::pki::{PkiError, public_key};

/// The digest of an authority's public key, by which a node that joins knows its cluster: `sha256:...`.
pub fn authority_hash(files: &KeyPairFiles) -> Result<String, StepError> {
    let path = files.certificate();
    let pem = local_file::read(&path)?.ok_or_else(|| PkiError::Missing {
        certificate: path.clone(),
    })?;
    let key = public_key(&pem).map_err(|why| PkiError::NoCertificate { path, why })?;
    Ok(format!("sha256:{}", Sha256::of(&key)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use camino::Utf8Path;

    use super::*;
    use crate::pki::Authority;

    #[test]
    fn it_is_what_openssl_says() {
        let dir = tempfile::tempdir().unwrap();
        let stem = Utf8Path::from_path(dir.path()).unwrap().join("ca");
        let files = KeyPairFiles::at(stem);
        Authority::create(&files, "kubernetes", None).unwrap();
        let pipe = format!(
            "openssl x509 -pubkey -noout -in {} | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1",
            files.certificate()
        );
        let output = Command::new("sh").args(["-c", &pipe]).output().unwrap();
        let wanted = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            authority_hash(&files).unwrap(),
            format!("sha256:{}", wanted.trim())
        );
    }

    #[test]
    fn an_authority_that_is_not_there_is_named() {
        let error = authority_hash(&KeyPairFiles::at("/nowhere/certs/kubernetes/ca")).unwrap_err();
        insta::assert_snapshot!(error, @"there is no certificate authority in /nowhere/certs/kubernetes/ca.crt");
    }
}
