//! The real registry with tokens, and who gives them: accounts `pusher` and `reader`, of which one may push.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use tempfile::TempDir;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::said;

/// What tokens are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    Whole,
    /// They say that they are good for long, and the registry has it that they have ended.
    TheFirstHasEnded,
}

const ACCOUNTS: [(&str, &str, &[&str]); 2] = [
    ("pusher", "p:w% d", &["pull", "push"]),
    ("reader", "secret", &["pull"]),
];

pub struct TokenRegistry {
    temp: TempDir,
    port: u16,
    registry: Child,
    giver: MockServer,
}

struct Giver {
    dir: Utf8PathBuf,
    worth: Worth,
    given: AtomicUsize,
    known: Mutex<BTreeSet<String>>,
}

impl TokenRegistry {
    pub async fn new(worth: Worth) -> Self {
        let temp = TempDir::new().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap().to_owned();
        let (key, certificate) = (dir.join("key.pem"), dir.join("signer.crt"));
        said([
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=giver",
            "-keyout",
            key.as_str(),
            "-out",
            certificate.as_str(),
        ]);
        let giver = MockServer::start().await;
        let answers = Giver {
            dir: dir.clone(),
            worth,
            given: AtomicUsize::new(0),
            known: Mutex::default(),
        };
        Mock::given(path("/token"))
            .respond_with(answers)
            .mount(&giver)
            .await;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let settings = format!(
            "\
version: 0.1
log: {{ level: error }}
storage: {{ filesystem: {{ rootdirectory: {dir}/registry }} }}
auth: {{ token: {{ realm: '{}/token', service: hub, issuer: giver, rootcertbundle: {certificate} }} }}
http: {{ addr: 127.0.0.1:{port}, secret: test }}
",
            giver.uri()
        );
        let config = dir.join("registry.yml");
        fs::write(&config, settings).unwrap();
        let log = File::create(dir.join("registry.log")).unwrap();
        let registry = Command::new("docker-registry")
            .args(["serve", config.as_str()])
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .expect("docker-registry is installed");
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not come up");
            std::thread::yield_now();
        }
        Self {
            temp,
            port,
            registry,
            giver,
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn giver(&self) -> String {
        self.giver.uri()
    }

    /// How many blobs came to their end.
    pub fn uploads(&self) -> usize {
        let log = fs::read_to_string(self.temp.path().join("registry.log")).unwrap();
        let is_upload = |line: &&str| {
            line.contains("\"PUT ") && line.contains("/blobs/uploads/") && line.contains("\" 201 ")
        };
        log.lines().filter(is_upload).count()
    }
}

impl Drop for TokenRegistry {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

impl Respond for Giver {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let login = request.headers.get("authorization");
        let login = login.and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
        let login = login.and_then(|pair| BASE64_STANDARD.decode(pair).ok());
        let login = String::from_utf8(login.unwrap_or_default()).unwrap();
        let known = ACCOUNTS
            .iter()
            .find(|(name, secret, _)| login == format!("{name}:{secret}"));
        let Some((name, _, rights)) = known else {
            return ResponseTemplate::new(401);
        };
        let scopes = request.url.query_pairs().filter(|(key, _)| key == "scope");
        let access: Vec<_> = scopes
            .map(|(_, scope)| {
                let parts: Vec<&str> = scope.split(':').collect();
                let asked = parts[2].split(',').filter(|right| rights.contains(right));
                json!({"type": parts[0], "name": parts[1], "actions": asked.collect::<Vec<_>>()})
            })
            .collect();
        let nth = self.given.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let ends = match self.worth {
            Worth::TheFirstHasEnded
                if self.known.lock().unwrap().insert(request.url.to_string()) =>
            {
                now - 600
            }
            _ => now + 300,
        };
        let claims = json!({
            "iss": "giver", "sub": name, "aud": "hub", "exp": ends, "nbf": now - 900,
            "iat": now - 900, "jti": nth.to_string(), "access": access,
        });
        let token = self.signed(&claims.to_string());
        ResponseTemplate::new(200).set_body_json(json!({"token": token, "expires_in": 300}))
    }
}

impl Giver {
    fn signed(&self, claims: &str) -> String {
        let pem = fs::read_to_string(self.dir.join("signer.crt")).unwrap();
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [der]}).to_string();
        let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}", encoded(&header), encoded(claims));
        let at = tempfile::NamedTempFile::new_in(&self.dir).unwrap();
        fs::write(at.path(), &text).unwrap();
        let key = self.dir.join("key.pem");
        let signature = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", key.as_str()])
            .arg(at.path())
            .output()
            .unwrap();
        assert!(signature.status.success());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.stdout);
        format!("{text}.{signature}")
    }
}
