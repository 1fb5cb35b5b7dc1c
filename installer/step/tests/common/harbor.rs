//! A stand-in for Harbor: its API for health, projects and robots, its tokens and its refusals, in front of the real registry that
//! keeps the images. It is none of Harbor's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// As what it takes a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// With each request as well, as Harbor does.
    Logins,
    /// Tokens alone.
    Tokens,
}

pub const ADMIN: (&str, &str) = ("admin", "Harbor12345");
pub const SERVICE: &str = "harbor-registry";

#[derive(Default)]
pub struct Told {
    pub projects: BTreeSet<String>,
    pub robots: BTreeMap<i64, Value>,
    pub secrets: BTreeMap<i64, String>,
    pub ailing: Vec<&'static str>,
    /// By token: who has it.
    tokens: BTreeMap<String, String>,
    pub tokens_given: usize,
}

pub struct Harbor {
    _temp: TempDir,
    registry: Child,
    server: MockServer,
    pub told: Arc<Mutex<Told>>,
}

struct Front {
    told: Arc<Mutex<Told>>,
    behind: u16,
    takes: Takes,
}

impl Harbor {
    pub async fn new(takes: Takes) -> Self {
        let temp = TempDir::new().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let behind = free.local_addr().unwrap().port();
        drop(free);
        let dir = temp.path().display();
        let config = temp.path().join("registry.yml");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {dir}/registry}}}}\nhttp: {{addr: '127.0.0.1:{behind}', secret: test}}\n"
        );
        fs::write(&config, settings).unwrap();
        let log = File::create(temp.path().join("registry.log")).unwrap();
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .expect("docker-registry is installed");
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, behind)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not come up");
            std::thread::yield_now();
        }
        let told = Arc::new(Mutex::new(Told::default()));
        let front = Front {
            told: told.clone(),
            behind,
            takes,
        };
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(front).mount(&server).await;
        Self {
            _temp: temp,
            registry,
            server,
            told,
        }
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }
}

impl Drop for Harbor {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

/// As Harbor words it.
fn error(status: u16, code: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status)
        .set_body_json(json!({"errors": [{"code": code, "message": message}]}))
}

impl Told {
    /// Whose login that is.
    fn account(&self, request: &Request) -> Option<String> {
        let header = request.headers.get("authorization")?.to_str().ok()?;
        if let Some(token) = header.strip_prefix("Bearer ") {
            return self.tokens.get(token).cloned();
        }
        let pair = BASE64_STANDARD
            .decode(header.strip_prefix("Basic ")?)
            .ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (name, secret) = pair.split_once(':')?;
        if (name, secret) == ADMIN {
            return Some(name.to_owned());
        }
        let robot = self.robot(name)?;
        let id = robot["id"].as_i64()?;
        let is_theirs = self.secrets.get(&id).map(String::as_str) == Some(secret);
        (is_theirs && robot["disable"] == false).then(|| name.to_owned())
    }

    fn robot(&self, name: &str) -> Option<&Value> {
        self.robots.values().find(|robot| robot["name"] == name)
    }

    fn may(&self, account: &str, action: &str) -> bool {
        let access = self
            .robot(account)
            .map(|robot| &robot["permissions"][0]["access"]);
        let access = access.and_then(Value::as_array);
        account == ADMIN.0
            || access.is_some_and(|access| access.iter().any(|it| it["action"] == action))
    }

    fn api(&mut self, request: &Request, path: &str) -> ResponseTemplate {
        let method = request.method.as_str();
        if path == "health" {
            let parts = ["core", "database", "registry"].map(|name| {
                let is_ailing = self.ailing.contains(&name);
                json!({"name": name, "status": if is_ailing { "unhealthy" } else { "healthy" }})
            });
            return ResponseTemplate::new(200).set_body_json(json!({"components": parts}));
        }
        if self.account(request).as_deref() != Some(ADMIN.0) {
            return error(401, "UNAUTHORIZED", "unauthorized");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (method, path) {
            ("HEAD", "projects") => {
                let mut query = request.url.query_pairs();
                let (_, name) = query.find(|(key, _)| key == "project_name").unwrap();
                let is_there = self.projects.contains(&*name);
                ResponseTemplate::new(if is_there { 200 } else { 404 })
            }
            ("POST", "projects") => {
                let name = body["project_name"].as_str().unwrap().to_owned();
                let is_new = self.projects.insert(name);
                ResponseTemplate::new(if is_new { 201 } else { 409 })
            }
            ("GET", "robots") => {
                let robots: Vec<&Value> = self.robots.values().collect();
                ResponseTemplate::new(200).set_body_json(robots)
            }
            ("POST", "robots") => self.make_robot(body),
            _ => self.change_robot(method, path, body),
        }
    }

    fn make_robot(&mut self, mut body: Value) -> ResponseTemplate {
        let id = i64::try_from(self.robots.len()).unwrap() + 1;
        let bare = body["name"].as_str().unwrap().to_owned();
        if bare.contains('$') {
            return error(
                400,
                "BAD_REQUEST",
                "robot name is not in lower case or contains illegal characters",
            );
        }
        body["id"] = id.into();
        body["name"] = format!("robot${bare}").into();
        self.secrets.insert(id, "drawn by Harbor".to_owned());
        self.robots.insert(id, body.clone());
        ResponseTemplate::new(201)
            .set_body_json(json!({"id": id, "name": body["name"], "secret": "drawn by Harbor"}))
    }

    fn change_robot(&mut self, method: &str, path: &str, body: Value) -> ResponseTemplate {
        let id: i64 = path.strip_prefix("robots/").unwrap().parse().unwrap();
        if method == "PUT" {
            assert_eq!(
                self.robots[&id]["name"], body["name"],
                "a name cannot be changed"
            );
            self.robots.insert(id, body);
            return ResponseTemplate::new(200);
        }
        let secret = body["secret"].as_str().unwrap();
        let has = |kind: fn(&char) -> bool| secret.chars().any(|c| kind(&c));
        let is_valid = (8..=128).contains(&secret.len())
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase)
            && has(char::is_ascii_digit);
        if !is_valid {
            return error(
                400,
                "BAD_REQUEST",
                "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter and 1 number",
            );
        }
        self.secrets.insert(id, secret.to_owned());
        ResponseTemplate::new(200)
    }

    fn token(&mut self, request: &Request) -> ResponseTemplate {
        let service = request
            .url
            .query_pairs()
            .any(|(key, value)| key == "service" && value == SERVICE);
        assert!(service, "{}", request.url);
        let Some(account) = self.account(request) else {
            return error(401, "UNAUTHORIZED", "unauthorized");
        };
        self.tokens_given += 1;
        let token = format!("token-{}", self.tokens_given);
        self.tokens.insert(token.clone(), account);
        ResponseTemplate::new(200).set_body_json(json!({"token": token, "expires_in": 1800}))
    }
}

impl Front {
    /// What of a repository nobody behind has to be asked about.
    fn refusal(&self, request: &Request) -> Option<ResponseTemplate> {
        let told = self.told.lock().unwrap();
        let header = request.headers.get("authorization");
        let is_token = header.is_some_and(|it| it.to_str().unwrap().starts_with("Bearer "));
        let account = told.account(request);
        let challenged = header.is_none() || self.takes == Takes::Tokens && !is_token;
        if challenged {
            let host = request.headers["host"].to_str().unwrap();
            let realm =
                format!("Bearer realm=\"http://{host}/service/token\",service=\"{SERVICE}\"");
            let refusal = error(401, "UNAUTHORIZED", "unauthorized");
            return Some(refusal.insert_header("www-authenticate", realm.as_str()));
        }
        let Some(account) = account else {
            return Some(error(401, "UNAUTHORIZED", "unauthorized"));
        };
        let path = request.url.path().strip_prefix("/v2/").unwrap_or_default();
        let project = path.split('/').next().unwrap_or_default();
        if project.is_empty() {
            return None;
        }
        if !told.projects.contains(project) {
            return Some(error(
                401,
                "UNAUTHORIZED",
                &format!("project {project} not found"),
            ));
        }
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        let action = if reads { "pull" } else { "push" };
        (!told.may(&account, action)).then(|| {
            let words = format!("unauthorized to access repository: {path}, action: {action}");
            error(401, "UNAUTHORIZED", &words)
        })
    }

    /// The real one answers.
    fn pass_on(&self, request: &Request) -> ResponseTemplate {
        let mut behind = TcpStream::connect((Ipv4Addr::LOCALHOST, self.behind)).unwrap();
        let query = request
            .url
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        let mut head = format!(
            "{} {}{query} HTTP/1.1\r\n",
            request.method,
            request.url.path()
        );
        for (name, value) in &request.headers {
            let skipped = [
                "authorization",
                "connection",
                "content-length",
                "transfer-encoding",
            ];
            if !skipped.contains(&name.as_str()) {
                let _ = write!(head, "{name}: {}\r\n", value.to_str().unwrap());
            }
        }
        let _ = write!(
            head,
            "connection: close\r\ncontent-length: {}\r\n\r\n",
            request.body.len()
        );
        behind.write_all(head.as_bytes()).unwrap();
        behind.write_all(&request.body).unwrap();
        let mut answer = Vec::new();
        behind.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status: u16 = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let mut body = answer[end + 4..].to_vec();
        let mut template = ResponseTemplate::new(status);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "transfer-encoding" => body = unchunked(&body),
                "connection" => {}
                "content-length" if request.method.as_str() != "HEAD" => {}
                _ => template = template.insert_header(name.as_str(), value),
            }
        }
        template.set_body_bytes(body)
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[(end + 4 + size).min(body.len())..];
    }
    whole
}

impl Respond for Front {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        if let Some(path) = path.strip_prefix("/api/v2.0/") {
            return self.told.lock().unwrap().api(request, path);
        }
        if path == "/service/token" {
            return self.told.lock().unwrap().token(request);
        }
        match self.refusal(request) {
            Some(refusal) => refusal,
            None => self.pass_on(request),
        }
    }
}
