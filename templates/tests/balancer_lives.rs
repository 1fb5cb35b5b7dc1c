//! Real load balancers in front of apiservers that answer in every way, played by a haproxy of their own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use templates::*;

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Until it takes connections there.
    fn listens(&mut self, address: &str) {
        while TcpStream::connect(address).is_err() {
            assert_eq!(self.0.try_wait().unwrap(), None);
            std::thread::yield_now();
        }
    }
}

fn haproxy(config: &Path) -> Running {
    let child = Command::new("/usr/sbin/haproxy")
        .args(["-db", "-f"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An apiserver that answers everything with one status, and what is in front of it.
struct Site {
    dir: TempDir,
    apiserver: Running,
    backend: String,
}

impl Site {
    fn new(status: u16) -> Self {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=apiserver", "-addext"])
            .arg("subjectAltName=DNS:lb.kubexm.local,IP:127.0.0.1")
            .args(["-keyout", &path("key"), "-out", &path("ca.crt")])
            .output();
        assert!(made.unwrap().status.success());
        let pair =
            fs::read_to_string(path("ca.crt")).unwrap() + &fs::read_to_string(path("key")).unwrap();
        fs::write(path("pair.pem"), pair).unwrap();
        let backend = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "global\n  log stdout format raw local0\ndefaults\n  mode http\n  log global\n  timeout client 5s\n\
             frontend apiserver\n  bind {backend} ssl crt {}\n  log-format asked\n  \
             http-request return status {status}\n",
            path("pair.pem")
        );
        fs::write(path("apiserver.cfg"), config).unwrap();
        let mut apiserver = haproxy(&dir.path().join("apiserver.cfg"));
        apiserver.listens(&backend);
        Self {
            dir,
            apiserver,
            backend,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn balancer(&self) -> Balancer {
        Balancer {
            home: BalancerHome::Pod,
            listen: vec!["127.0.0.1".parse().unwrap()],
            port: free_port(),
            backends: vec![Backend {
                name: "node1".into(),
                address: self.backend.clone(),
            }],
            ca_file: self.path("ca.crt").to_str().unwrap().into(),
            health_port: free_port(),
        }
    }

    /// Until the apiserver has been asked so many times.
    fn asked(&mut self, times: usize) {
        let said = BufReader::new(self.apiserver.0.stdout.as_mut().unwrap());
        let asked = said.lines().map(Result::unwrap);
        let asked = asked.filter(|line| line.contains("asked")).take(times);
        assert_eq!(asked.count(), times);
    }
}

/// What the balancer says of itself.
fn health(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

fn through_haproxy(status: u16) -> String {
    let mut site = Site::new(status);
    let balancer = site.balancer();
    let port = balancer.health_port;
    let text = HaproxyConfig { balancer }.render().unwrap();
    let often = text.replace("inter 5s fastinter 1s", "inter 20ms fastinter 20ms");
    assert_ne!(text, often);
    fs::write(site.path("haproxy.cfg"), often).unwrap();
    let _balancer = haproxy(&site.path("haproxy.cfg"));
    // Two that fail are judged before the third and the fourth are asked.
    site.asked(4);
    health(port)
}

fn through_nginx(status: u16) -> String {
    let site = Site::new(status);
    let balancer = site.balancer();
    let port = balancer.health_port;
    let config = NginxConfig {
        balancer,
        server_name: "lb.kubexm.local".into(),
    };
    let text = config.render().unwrap();
    let own = |key: &str| format!("{key} {}/", site.dir.path().display());
    let text = text.replace("path /tmp/", &own("path"));
    let text = text.replace("pid /tmp/", &own("pid"));
    fs::write(site.path("nginx.conf"), text).unwrap();
    let child = Command::new("/usr/sbin/nginx")
        .args(["-g", "daemon off; master_process off;", "-c"])
        .arg(site.path("nginx.conf"))
        .stderr(Stdio::null())
        .spawn();
    let mut balancer = Running(child.unwrap());
    balancer.listens(&format!("127.0.0.1:{port}"));
    health(port)
}

#[test]
fn haproxy_takes_ready_apiservers_and_those_without_anonymous_requests() {
    assert_eq!(through_haproxy(200), "200");
    assert_eq!(through_haproxy(401), "200");
    // Roles that are not there yet, and an apiserver that is not ready.
    assert_eq!(through_haproxy(403), "503");
    assert_eq!(through_haproxy(500), "503");
}

#[test]
fn nginx_takes_ready_apiservers_and_those_without_anonymous_requests() {
    assert_eq!(through_nginx(200), "200");
    assert_eq!(through_nginx(401), "200");
    assert_eq!(through_nginx(403), "403");
    assert_eq!(through_nginx(500), "500");
}
