//! An authority gives way to another on the operator's machine, judged by OpenSSL at every move.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use common::{converge, operator, reason, said, told};
use engine::Step;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, ForgetPredecessor, KeyPairFiles, Move,
    PrepareSuccessor, ServiceAccountKey, Succeed, Succession, Usage,
};
use tempfile::TempDir;

struct Pki(TempDir);

impl Pki {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    fn authority(&self) -> CertificateAuthority {
        CertificateAuthority::new(KeyPairFiles::at(self.path("ca")), "kubernetes-ca")
    }

    fn succession(&self) -> Succession {
        Succession::of_authority(self.path("ca"), "kubernetes-ca 2")
    }

    fn admin(&self) -> Certificate {
        let [authority, files] = ["ca", "admin"].map(|name| KeyPairFiles::at(self.path(name)));
        Certificate::new(
            authority,
            files,
            CertificateSpec::new("admin", Usage::Client),
        )
    }

    async fn go(&self, to: Move) -> Option<String> {
        let of = self.succession();
        converge(&Succeed { of, to }).await.unwrap()
    }

    fn signed_by(&self) -> String {
        let admin = self.path("admin.crt");
        said([
            "openssl",
            "x509",
            "-noout",
            "-issuer",
            "-in",
            admin.as_str(),
        ])
    }

    /// Whether somebody who trusts this file lets the administrator in.
    fn is_trusted_by(&self, file: &str) -> bool {
        let (trusted, admin) = (self.path(file), self.path("admin.crt"));
        let verified = std::process::Command::new("openssl")
            .args(["verify", "-CAfile", trusted.as_str(), admin.as_str()])
            .output()
            .unwrap();
        verified.status.success()
    }

    fn keep(&self, name: &str) {
        fs::copy(self.path("ca.crt"), self.path(name)).unwrap();
    }
}

#[tokio::test]
async fn at_every_move_everybody_gets_on_with_those_of_the_move_before() {
    let pki = Pki::new();
    converge(&pki.authority()).await.unwrap();
    converge(&pki.admin()).await.unwrap();
    pki.keep("before.crt");
    assert_eq!(pki.succession().stand().unwrap(), None);

    converge(&PrepareSuccessor(pki.succession()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pki.succession().stand().unwrap(), Some(Move::Trust));
    for file in ["old.crt", "old.key", "new.key"] {
        let meta = fs::metadata(pki.path("ca.rotation").join(file)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{file}");
    }
    pki.go(Move::Trust).await.unwrap();
    // The one that signs is the old one still: nothing is signed anew, and no authority made anew.
    assert_eq!(reason(&pki.admin()).await, "satisfied");
    assert_eq!(reason(&pki.authority()).await, "satisfied");
    pki.keep("trust.crt");

    pki.go(Move::Issue).await.unwrap();
    assert_eq!(pki.succession().stand().unwrap(), Some(Move::Issue));
    assert!(pki.is_trusted_by("ca.crt"), "what was signed before serves");
    let why = converge(&pki.admin()).await.unwrap().unwrap();
    assert_eq!(why, "another authority signed it");
    assert!(pki.signed_by().contains("kubernetes-ca 2"));
    assert!(pki.is_trusted_by("trust.crt") && pki.is_trusted_by("ca.crt"));
    assert!(!pki.is_trusted_by("before.crt"));

    pki.go(Move::Drop).await.unwrap();
    assert_eq!(pki.succession().stand().unwrap(), Some(Move::Drop));
    assert_eq!(reason(&pki.admin()).await, "satisfied");
    assert!(pki.is_trusted_by("ca.crt"));
    converge(&ForgetPredecessor(pki.succession()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pki.succession().stand().unwrap(), None);
    assert!(!pki.path("ca.rotation").exists());

    // And once more.
    converge(&PrepareSuccessor(pki.succession()))
        .await
        .unwrap()
        .unwrap();
    for to in Move::ALL {
        pki.go(to).await.unwrap();
        converge(&pki.admin()).await.unwrap();
        assert!(pki.is_trusted_by("ca.crt"));
    }
}

#[tokio::test]
async fn what_was_cut_short_between_two_files_is_written_again() {
    let pki = Pki::new();
    converge(&pki.authority()).await.unwrap();
    converge(&PrepareSuccessor(pki.succession())).await.unwrap();
    pki.go(Move::Trust).await;
    let key = fs::read(pki.path("ca.rotation/new.key")).unwrap();
    fs::write(pki.path("ca.key"), key).unwrap();
    assert_eq!(pki.succession().stand().unwrap(), Some(Move::Trust));
    assert_eq!(
        pki.go(Move::Trust).await.unwrap(),
        "the new one is not trusted yet"
    );
    converge(&pki.admin()).await.unwrap();

    fs::write(pki.path("ca.crt"), "of somebody else").unwrap();
    let strange = pki.succession().stand().unwrap_err();
    let strange = told(&strange).replace(pki.path("").as_str().trim_end_matches('/'), "[certs]");
    insta::assert_snapshot!(strange, @r"
    [certs]/ca.crt holds neither what is in [certs]/ca.rotation nor both of it
    hint: put [certs]/ca.crt and its key back as they were when the rotation was cut short, from a backup
    ");
}

#[tokio::test]
async fn nothing_follows_an_authority_whose_key_is_elsewhere() {
    let pki = Pki::new();
    converge(&pki.authority()).await.unwrap();
    fs::remove_file(pki.path("ca.key")).unwrap();
    let prepare = PrepareSuccessor(pki.succession());
    let error = prepare.apply(&operator()).await.unwrap_err();
    let error = told(&error).replace(pki.path("").as_str().trim_end_matches('/'), "[certs]");
    insta::assert_snapshot!(error, @r"
    [certs]/ca.key is missing: nothing can follow what is not whole
    hint: put it back from a backup, or from the machine that installed the site
    ");
}

#[tokio::test]
async fn the_key_of_service_accounts_goes_the_same_way() {
    let pki = Pki::new();
    let key = ServiceAccountKey::at(pki.path("sa"));
    converge(&key).await.unwrap();
    let old = fs::read_to_string(key.public()).unwrap();
    let of = || Succession::of_service_accounts(pki.path("sa"));
    converge(&PrepareSuccessor(of())).await.unwrap().unwrap();
    let new = fs::read_to_string(pki.path("sa.rotation/new.pub")).unwrap();
    for (to, public) in [
        (Move::Trust, format!("{old}{new}")),
        (Move::Issue, format!("{new}{old}")),
        (Move::Drop, new.clone()),
    ] {
        converge(&Succeed { of: of(), to }).await.unwrap();
        assert_eq!(fs::read_to_string(key.public()).unwrap(), public);
        assert_eq!(of().stand().unwrap(), Some(to));
        // An install in between leaves it so.
        assert_eq!(reason(&key).await, "satisfied");
    }
    let derived = said(["openssl", "pkey", "-pubout", "-in", key.key().as_str()]);
    assert_eq!(derived, new);
}
