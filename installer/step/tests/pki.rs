//! Certificates, judged by OpenSSL.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use common::{converge, operator, reason, said, told};
use engine::{Cx, Step};
use event::{Event, Events, Sink};
use jiff::Timestamp;
use step::{Certificate, CertificateAuthority, CertificateSpec, KeyPairFiles, Usage};
use tempfile::TempDir;

const DAY: Duration = Duration::from_hours(24);

struct Pki {
    temp: TempDir,
}

impl Pki {
    async fn new() -> Self {
        let pki = Self {
            temp: TempDir::new().unwrap(),
        };
        converge(&pki.authority()).await.unwrap();
        pki
    }

    fn dir(&self) -> Utf8PathBuf {
        Utf8Path::from_path(self.temp.path()).unwrap().join("etcd")
    }

    fn path(&self, name: &str) -> String {
        self.dir().join(name).into_string()
    }

    fn ca(&self) -> KeyPairFiles {
        KeyPairFiles::at(self.dir().join("ca"))
    }

    fn authority(&self) -> CertificateAuthority {
        CertificateAuthority::new(self.ca(), "etcd-ca")
    }

    fn certificate(&self, name: &str, spec: CertificateSpec) -> Certificate {
        Certificate::new(self.ca(), KeyPairFiles::at(self.dir().join(name)), spec)
    }

    fn verify(&self, more: &[&str], name: &str) -> bool {
        let (ca, certificate) = (self.path("ca.crt"), self.path(name));
        std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-CAfile", &ca])
            .args(more)
            .arg(certificate)
            .output()
            .unwrap()
            .status
            .success()
    }

    /// The error without the temporary directory in it.
    fn told(&self, error: &engine::StepError) -> String {
        told(error).replace(self.dir().as_str(), "[certs]")
    }
}

fn server() -> CertificateSpec {
    CertificateSpec::new("node1", Usage::Both)
        .dns(["node1", "localhost"])
        .ips([
            "127.0.0.1".parse().unwrap(),
            "10.0.0.1".parse().unwrap(),
            "::1".parse().unwrap(),
        ])
}

#[tokio::test]
async fn openssl_accepts_what_is_made() {
    let pki = Pki::new().await;
    let client = CertificateSpec::new("kubernetes-admin", Usage::Client)
        .organization("kubeadm:cluster-admins");
    let steps = [
        pki.certificate("server", server()),
        pki.certificate("admin", client),
    ];
    for step in &steps {
        assert_eq!(converge(step).await.unwrap().unwrap(), "there is none yet");
        assert_eq!(converge(step).await.unwrap(), None);
    }
    assert!(pki.verify(
        &["-purpose", "sslserver", "-verify_hostname", "node1"],
        "server.crt"
    ));
    assert!(pki.verify(
        &["-purpose", "sslclient", "-verify_ip", "::1"],
        "server.crt"
    ));
    assert!(pki.verify(&["-purpose", "sslclient"], "admin.crt"));
    assert!(!pki.verify(&["-purpose", "sslserver"], "admin.crt"));
    assert!(!pki.verify(&["-verify_hostname", "node2"], "server.crt"));

    let admin = pki.path("admin.crt");
    let shown = said([
        "openssl",
        "x509",
        "-noout",
        "-subject",
        "-issuer",
        "-ext",
        "keyUsage,extendedKeyUsage",
        "-in",
        &admin,
    ]);
    insta::assert_snapshot!(shown, @r"
    subject=O = kubeadm:cluster-admins, CN = kubernetes-admin
    issuer=CN = etcd-ca
    X509v3 Key Usage: critical
        Digital Signature
    X509v3 Extended Key Usage: 
        TLS Web Client Authentication
    ");
    let ca = pki.path("ca.crt");
    let shown = said([
        "openssl",
        "x509",
        "-noout",
        "-ext",
        "basicConstraints,keyUsage",
        "-in",
        &ca,
    ]);
    insta::assert_snapshot!(shown, @r"
    X509v3 Key Usage: critical
        Digital Signature, Certificate Sign, CRL Sign
    X509v3 Basic Constraints: critical
        CA:TRUE, pathlen:0
    ");
}

#[tokio::test]
async fn keys_are_for_their_owner_and_belong_to_their_certificate() {
    let pki = Pki::new().await;
    let step = pki.certificate("server", server());
    converge(&step).await.unwrap();
    for name in ["ca.key", "server.key"] {
        let (key, certificate) = (pki.path(name), pki.path(&name.replace("key", "crt")));
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            fs::read_to_string(&key)
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
        let public = said(["openssl", "pkey", "-pubout", "-in", &key]);
        assert_eq!(
            public,
            said(["openssl", "x509", "-pubkey", "-noout", "-in", &certificate])
        );
    }
    assert_eq!(
        fs::metadata(pki.dir()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let left: Vec<_> = fs::read_dir(pki.dir()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");

    for (step, key) in [
        (&pki.authority() as &dyn Step, "ca.key"),
        (&step, "server.key"),
    ] {
        fs::set_permissions(pki.path(key), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            converge(step).await.unwrap().unwrap(),
            "others can read its key"
        );
    }
}

#[tokio::test]
async fn validity_begins_before_now_and_ends_when_told_but_not_after_the_authority() {
    let pki = Pki::new().await;
    let days = |count: u32| server().valid_for(DAY * count);
    converge(&pki.certificate("short", days(90))).await.unwrap();
    converge(&pki.certificate("long", days(36_500)))
        .await
        .unwrap();
    converge(&pki.certificate("as-ever", server()))
        .await
        .unwrap();
    let ends = |name: &str, seconds: u64| {
        let (path, seconds) = (pki.path(name), seconds.to_string());
        let argv = ["x509", "-noout", "-checkend", &seconds, "-in", &path];
        !std::process::Command::new("openssl")
            .args(argv)
            .output()
            .unwrap()
            .status
            .success()
    };
    let day = DAY.as_secs();
    assert!(!ends("short.crt", 89 * day) && ends("short.crt", 91 * day));
    assert!(!ends("ca.crt", 3649 * day) && ends("ca.crt", 3651 * day));
    assert!(!ends("long.crt", 3649 * day) && ends("long.crt", 3651 * day));
    assert!(!ends("as-ever.crt", 3649 * day));
    // OpenSSL would say "not yet valid" on a host whose clock is behind.
    let half_an_hour_ago = (Timestamp::now().as_second() - 1800).to_string();
    assert!(pki.verify(&["-attime", &half_an_hour_ago], "short.crt"));
}

#[tokio::test]
async fn a_certificate_that_no_longer_fits_says_why_and_is_made_anew() {
    let pki = Pki::new().await;
    let first = server().valid_for(10 * DAY);
    converge(&pki.certificate("server", first.clone()))
        .await
        .unwrap();
    assert_eq!(reason(&pki.certificate("server", first)).await, "satisfied");

    let mut other_names = server().dns(["node9"]);
    other_names.dns.remove("localhost");
    let why = async |spec| reason(&pki.certificate("server", spec)).await;
    insta::assert_snapshot!(why(server()).await, @"it expires in 9 days");
    insta::assert_snapshot!(why(server().dns(["node9"])).await, @"SANs differ: lacks node9");
    insta::assert_snapshot!(why(other_names).await, @"SANs differ: lacks node9, has localhost too many");
    insta::assert_snapshot!(why(CertificateSpec { usage: Usage::Client, ..server() }).await, @"usage differs: server and client, not client");
    insta::assert_snapshot!(why(server().organization("system:nodes")).await, @"subject differs: CN=node1, not O=system:nodes, CN=node1");

    assert!(
        converge(&pki.certificate("server", server()))
            .await
            .unwrap()
            .is_some()
    );
    assert!(pki.verify(&["-verify_ip", "10.0.0.1"], "server.crt"));

    let step = pki.certificate("server", server());
    fs::copy(pki.path("ca.key"), pki.path("server.key")).unwrap();
    insta::assert_snapshot!(reason(&step).await, @"its key belongs to another certificate");
    fs::write(pki.path("server.key"), "").unwrap();
    insta::assert_snapshot!(reason(&step).await, @"its key cannot be read");
    fs::remove_file(pki.path("server.key")).unwrap();
    insta::assert_snapshot!(reason(&step).await, @"its key is missing");
    converge(&step).await.unwrap();

    for name in ["ca.crt", "ca.key"] {
        fs::remove_file(pki.path(name)).unwrap();
    }
    insta::assert_snapshot!(reason(&step).await, @"its authority is not there yet");
    converge(&pki.authority()).await.unwrap();
    insta::assert_snapshot!(reason(&step).await, @"another authority signed it");
    converge(&step).await.unwrap();
    assert!(pki.verify(&[], "server.crt"));
}

/// What the check of an authority warns of.
async fn warnings(authority: &CertificateAuthority) -> String {
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);
    impl Sink for Heard {
        fn on(&self, _: Timestamp, event: &Event) {
            if let Event::Seen { warning, .. } = event {
                self.0.lock().unwrap().extend(warning.clone());
            }
        }
    }
    let heard = Arc::new(Heard::default());
    let events = Events::to(vec![heard.clone()]);
    let cx = Cx {
        progress: events.progress(events.next_id(), None),
        ..operator()
    };
    authority.check(&cx).await.unwrap();
    let heard = heard.0.lock().unwrap();
    heard.join("\n")
}

#[tokio::test]
async fn in_the_last_days_of_an_authority_certificates_end_with_it() {
    let pki = Pki::new().await;
    assert_eq!(warnings(&pki.authority()).await, "");
    let (certificate, key) = (pki.path("ca.crt"), pki.path("ca.key"));
    let request = "req -x509 -new -sha256 -days 20 -subj /CN=site \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign";
    let argv = ["openssl"].into_iter().chain(request.split_whitespace());
    said(argv.chain(["-key", &key, "-out", &certificate]));

    let step = pki.certificate("server", server());
    assert_eq!(converge(&step).await.unwrap().unwrap(), "there is none yet");
    assert_eq!(converge(&step).await.unwrap(), None);
    // One that ends before its authority gets what is left.
    let short = pki.certificate("short", server().valid_for(2 * DAY));
    converge(&short).await.unwrap();
    insta::assert_snapshot!(reason(&pki.certificate("short", server())).await, @"it expires in 1 day");

    let warning = warnings(&pki.authority()).await;
    insta::assert_snapshot!(warning.replace(pki.dir().as_str(), "[certs]"), @"the certificate authority [certs]/ca.crt ends in 19 days, and with it every certificate that it has signed");
}

#[tokio::test]
async fn an_authority_is_never_replaced() {
    let pki = Pki::new().await;
    let (certificate, key) = (pki.path("ca.crt"), pki.path("ca.key"));
    let kept = fs::read(&certificate).unwrap();
    let renamed = CertificateAuthority::new(pki.ca(), "another name");
    assert_eq!(converge(&renamed).await.unwrap(), None);

    let lost = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    // What it has signed serves; it is told, and nothing is made in its place.
    assert_eq!(converge(&pki.authority()).await.unwrap(), None);
    assert!(fs::metadata(&key).is_err());
    let leaf = pki.certificate("server", server());
    let error = converge(&leaf).await.unwrap_err();
    insta::assert_snapshot!(pki.told(&error), @r"
    nothing can be signed by the certificate authority in [certs]/ca.crt: its key [certs]/ca.key is missing
    hint: put [certs] back as it was, from a backup or from the machine that installed the site
    ");

    fs::write(&key, "nothing").unwrap();
    let error = converge(&pki.authority()).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(pki.dir().as_str(), "[certs]"), @"[certs]/ca.key holds no private key that can be read");

    fs::write(&key, &lost).unwrap();
    converge(&leaf).await.unwrap();
    fs::copy(pki.path("server.key"), &key).unwrap();
    let error = converge(&pki.authority()).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(pki.dir().as_str(), "[certs]"), @"[certs]/ca.key is not the key of [certs]/ca.crt");

    fs::copy(pki.path("server.crt"), &certificate).unwrap();
    let error = converge(&pki.authority()).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(pki.dir().as_str(), "[certs]"), @"[certs]/ca.crt is no certificate authority");

    fs::write(&certificate, &kept[..kept.len() / 2]).unwrap();
    let error = converge(&pki.authority()).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(pki.dir().as_str(), "[certs]"), @"[certs]/ca.crt holds no certificate: it is no whole PEM");

    fs::write(&certificate, &kept).unwrap();
    fs::write(&key, &lost).unwrap();
    assert_eq!(converge(&pki.authority()).await.unwrap(), None);
}

#[tokio::test]
async fn an_authority_whose_making_was_cut_short_is_finished_with_the_same_key() {
    let pki = Pki::new().await;
    converge(&pki.certificate("server", server()))
        .await
        .unwrap();
    fs::remove_file(pki.path("ca.crt")).unwrap();
    fs::write(pki.path(".ca.crt.part"), "half of").unwrap();
    assert_eq!(
        converge(&pki.authority()).await.unwrap().unwrap(),
        "it has a key and no certificate"
    );
    assert!(pki.verify(&[], "server.crt"));
    assert!(!fs::exists(pki.path(".ca.crt.part")).unwrap());
}

#[tokio::test]
async fn without_an_authority_nothing_is_signed() {
    let temp = TempDir::new().unwrap();
    let pki = Pki { temp };
    let error = pki
        .certificate("server", server())
        .apply(&operator())
        .await
        .unwrap_err();
    insta::assert_snapshot!(pki.told(&error), @"there is no certificate authority in [certs]/ca.crt");
}
