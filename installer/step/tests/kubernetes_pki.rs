//! What Kubernetes is signed with, judged by OpenSSL and, where they are at hand, by Kubernetes' own programs.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use camino::{Utf8Path, Utf8PathBuf};
use common::{converge, operator, reason, said, told};
use engine::Step;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, KeyPairFiles, ServiceAccountKey, Usage,
    WriteKubeconfig,
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

    fn authority(&self, name: &str) -> CertificateAuthority {
        CertificateAuthority::new(KeyPairFiles::at(self.path(name)), name)
    }

    fn service_accounts(&self) -> ServiceAccountKey {
        ServiceAccountKey::at(self.path("sa"))
    }

    fn admin(&self) -> Certificate {
        let spec = CertificateSpec::new("kubernetes-admin", Usage::Client)
            .organization("kubeadm:cluster-admins");
        let [authority, files] = ["ca", "admin"].map(|name| KeyPairFiles::at(self.path(name)));
        Certificate::new(authority, files, spec)
    }

    fn kubeconfig(&self) -> WriteKubeconfig {
        WriteKubeconfig {
            path: self.path("admin.conf"),
            cluster: "demo".into(),
            user: "kubernetes-admin".into(),
            server: "https://lb.kubexm.local:6443".into(),
            authority: self.path("ca.crt"),
            client: KeyPairFiles::at(self.path("admin")),
        }
    }

    /// An error without the temporary directory in it.
    fn told(&self, error: &engine::StepError) -> String {
        told(error).replace(self.path("").as_str().trim_end_matches('/'), "[certs]")
    }
}

/// A program of Kubernetes.
fn program(name: &str) -> String {
    let folder = std::env::var_os("KUBEXM_LAB_KUBE").map(PathBuf::from);
    let folder = folder.expect("KUBEXM_LAB_KUBE names a folder with Kubernetes");
    folder.join(name).to_str().unwrap().to_owned()
}

fn mode(path: &Utf8Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_service_account_key_is_made_once_and_openssl_reads_both_halves() {
    let pki = Pki::new();
    let step = pki.service_accounts();
    assert_eq!(converge(&step).await.unwrap().unwrap(), "there is none yet");
    assert_eq!(converge(&step).await.unwrap(), None);
    let (key, public) = (step.key(), step.public());
    assert_eq!(mode(&key), 0o600);
    let derived = said(["openssl", "pkey", "-pubout", "-in", key.as_str()]);
    assert_eq!(derived, fs::read_to_string(&public).unwrap());

    let before = fs::read(&key).unwrap();
    fs::write(&public, "of somebody else").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let why = converge(&step).await.unwrap().unwrap();
    assert_eq!(why, "its public half is not beside it");
    assert_eq!((fs::read(&key).unwrap(), mode(&key)), (before, 0o600));
    assert_eq!(derived, fs::read_to_string(&public).unwrap());
}

#[tokio::test]
async fn a_service_account_key_that_is_lost_is_not_replaced() {
    let pki = Pki::new();
    let step = pki.service_accounts();
    converge(&step).await.unwrap();
    fs::write(step.key(), "torn").unwrap();
    let torn = step.check(&operator()).await.unwrap_err();
    insta::assert_snapshot!(pki.told(&torn), @r"
    [certs]/sa.key holds no private key that can be read
    hint: put [certs] back as it was, from a backup or from the machine that installed the site
    ");
    fs::remove_file(step.key()).unwrap();
    let lost = step.check(&operator()).await.unwrap_err();
    insta::assert_snapshot!(pki.told(&lost), @r"
    [certs]/sa.pub is there, but its private key [certs]/sa.key is missing
    hint: put [certs] back as it was, from a backup or from the machine that installed the site
    ");
}

#[tokio::test]
#[ignore = "needs real Kubernetes: make e2e"]
async fn kubeadm_goes_on_with_what_is_made() {
    let pki = Pki::new();
    for name in ["ca", "front-proxy-ca"] {
        converge(&pki.authority(name)).await.unwrap();
    }
    converge(&pki.service_accounts()).await.unwrap();
    let kubeadm = program("kubeadm");
    let dir = pki.path("");
    // Otherwise it asks the Internet for one.
    let version = said([&*kubeadm, "version", "--output", "short"]);
    let phase = |name: &str| {
        let mut argv = vec![&*kubeadm, "init", "phase", "certs", name];
        argv.extend(["--cert-dir", dir.as_str()]);
        if name == "apiserver" {
            argv.extend(["--apiserver-advertise-address", "10.0.0.1"]);
        }
        if name != "sa" {
            argv.extend(["--kubernetes-version", version.trim()]);
        }
        said(argv)
    };
    let existing = [
        ("ca", "Using existing ca certificate authority"),
        (
            "front-proxy-ca",
            "Using existing front-proxy-ca certificate authority",
        ),
        ("sa", "Using the existing \"sa\" key"),
    ];
    for (name, words) in existing {
        let said = phase(name);
        assert!(said.contains(words), "{said}");
    }
    for name in ["apiserver", "front-proxy-client"] {
        phase(name);
    }
    let ca = pki.path("ca.crt");
    let apiserver = pki.path("apiserver.crt");
    said([
        "openssl",
        "verify",
        "-CAfile",
        ca.as_str(),
        apiserver.as_str(),
    ]);
}

#[tokio::test]
async fn a_kubeconfig_goes_with_its_certificate() {
    let pki = Pki::new();
    let step = pki.kubeconfig();
    assert_eq!(reason(&step).await, "its certificate is not there yet");
    converge(&pki.authority("ca")).await.unwrap();
    converge(&pki.admin()).await.unwrap();
    assert_eq!(converge(&step).await.unwrap().unwrap(), "there is none yet");
    assert_eq!(converge(&step).await.unwrap(), None);
    assert_eq!(mode(&step.path), 0o600);

    fs::set_permissions(&step.path, fs::Permissions::from_mode(0o640)).unwrap();
    let open = converge(&step).await.unwrap().unwrap();
    fs::remove_file(pki.path("admin.crt")).unwrap();
    converge(&pki.admin()).await.unwrap();
    let renewed = converge(&step).await.unwrap().unwrap();
    let elsewhere = WriteKubeconfig {
        server: "https://other:6443".into(),
        ..step.clone()
    };
    let moved = reason(&elsewhere).await;
    assert_eq!(
        [&*open, &*renewed, &*moved],
        ["others can read it", "differs", "differs"]
    );
}

#[tokio::test]
#[ignore = "needs real Kubernetes: make e2e"]
async fn kubectl_reads_a_kubeconfig() {
    let pki = Pki::new();
    converge(&pki.authority("ca")).await.unwrap();
    converge(&pki.admin()).await.unwrap();
    let step = pki.kubeconfig();
    converge(&step).await.unwrap();
    let kubectl = program("kubectl");
    let argv = [
        &*kubectl,
        "--kubeconfig",
        step.path.as_str(),
        "config",
        "view",
        "--minify",
    ];
    let shown = said(argv.into_iter().chain(["--raw", "--output", "json"]));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["current-context"], "kubernetes-admin@demo");
    assert_eq!(
        shown["clusters"][0]["cluster"]["server"],
        "https://lb.kubexm.local:6443"
    );
    let user = &shown["users"][0]["user"];
    assert!(user["client-key-data"].is_string() && user["client-certificate-data"].is_string());
}
