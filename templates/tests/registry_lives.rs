//! The files of the registry, judged by the real one: two services over one directory, of which one only gives.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use templates::{RegistryConfig, RegistryTakes, Template};

const PUSHER: &str = "pusher:$2b$05$sqMWRzaBjnUQlDCdc9AfC.Kdiz4W4QaWpiVeGItbDxz9bTqpCyxXy";
const READER: &str = "reader:$2b$05$zERtyHkyEhlAUw25lMPGBePs.MyqpuCNFSHmY5VwBWyovjRhrfRoK";

struct Service {
    port: u16,
    child: Child,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(dir: &Path, takes: RegistryTakes, accounts: &str) -> Service {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    fs::write(at(&format!("{takes:?}.htpasswd")), format!("{accounts}\n")).unwrap();
    let config = RegistryConfig {
        port,
        data_dir: at("data"),
        certificate: at("registry.crt"),
        key: at("registry.key"),
        htpasswd: at(&format!("{takes:?}.htpasswd")),
        takes,
    };
    let path = at(&format!("{takes:?}.yml"));
    fs::write(&path, config.render().unwrap()).unwrap();
    let child = Command::new("docker-registry")
        .args(["serve", &path])
        .env("OTEL_TRACES_EXPORTER", "none")
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("docker-registry is installed");
    let deadline = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "the registry does not come up");
        std::thread::yield_now();
    }
    Service { port, child }
}

fn copy(from: &[&str], to: &[&str]) -> Output {
    let copy = ["copy", "-q"].iter().chain(from).chain(to);
    Command::new("skopeo").args(copy).output().unwrap()
}

#[test]
fn who_may_only_read_is_given_what_others_have_pushed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let signed = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=registry",
        ])
        .args(["-keyout", &at("registry.key"), "-out", &at("registry.crt")])
        .output()
        .unwrap();
    assert!(signed.status.success());
    let whole = serve(dir, RegistryTakes::Pushes, PUSHER);
    let reading = serve(dir, RegistryTakes::Nothing, READER);

    // An image with nothing in it.
    let empty = at("empty");
    fs::create_dir_all(dir.join("empty/blobs/sha256")).unwrap();
    let part = |bytes: &str| {
        let path = at("part");
        fs::write(&path, bytes).unwrap();
        let sum = Command::new("sha256sum").arg(&path).output().unwrap();
        let digest = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
        fs::rename(&path, format!("{empty}/blobs/sha256/{digest}")).unwrap();
        digest
    };
    let text = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = part(text);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{config}","size":{}}},"layers":[]}}"#,
        text.len()
    );
    let digest = part(&manifest);
    fs::write(
        format!("{empty}/index.json"),
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"x"}}}}]}}"#,
            manifest.len()
        ),
    )
    .unwrap();
    fs::write(
        format!("{empty}/oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();

    let layout = format!("oci:{empty}:x");
    let of = |service: &Service| format!("docker://127.0.0.1:{}/a/b:1", service.port);
    let push = |service: &Service, login: &str| {
        copy(
            &[&layout, "--dest-tls-verify=false", "--dest-creds", login],
            &[&of(service)],
        )
    };
    let pull = |service: &Service, login: &str| {
        let to = format!("oci:{}:x", at("pulled"));
        copy(
            &["--src-tls-verify=false", "--src-creds", login, &of(service)],
            &[&to],
        )
    };
    let (pusher, reader) = ("pusher:pusher-secret", "reader:reader-secret");
    let sent = push(&whole, pusher);
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    let pulled = pull(&reading, reader);
    assert!(
        pulled.status.success(),
        "{}",
        String::from_utf8_lossy(&pulled.stderr)
    );
    assert!(!push(&reading, reader).status.success());
    assert!(!push(&whole, reader).status.success());
    assert!(!pull(&reading, pusher).status.success());
}
