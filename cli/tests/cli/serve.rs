//! A bundle is served to programs that know nothing of kubexm.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::bundles::Site;
use super::kubexm;

struct Server {
    child: Child,
    address: String,
    site: Site,
}

impl Server {
    fn new(site: Site) -> Self {
        let program = kubexm(site.path().as_std_path(), &[])
            .get_program()
            .to_owned();
        let mut child = Command::new(program)
            .current_dir(site.path())
            .args(["serve", "small.tar.zst", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let begin = line.find("http://").unwrap_or_else(|| panic!("{line}"));
        let address = line[begin + 7..].split('/').next().unwrap().to_owned();
        Self {
            child,
            address,
            site,
        }
    }

    fn curl(&self, args: &[&str], path: &str) -> String {
        let output = Command::new("curl")
            .current_dir(self.site.path())
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(args)
            .arg(format!("http://{}{path}", self.address))
            .output()
            .unwrap();
        let (text, said) = (&output.stdout, &output.stderr);
        let (text, said) = (String::from_utf8_lossy(text), String::from_utf8_lossy(said));
        format!("{text}{said}")
    }

    fn status(&self, args: &[&str], path: &str) -> String {
        self.curl(
            &[&["-o", "/dev/null", "-w", "%{http_code}"], args].concat(),
            path,
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ETCD: &str = "/files/etcd/v3.5.24/amd64/etcd.tar.gz";

#[test]
fn curl_takes_files_and_parts_of_them_and_goes_on() {
    let server = Server::new(Site::new());
    let here = |name: &str| server.site.path().join(name);
    let source = fs::read(here("source/etcd/v3.5.24/amd64/etcd.tar.gz")).unwrap();
    assert_eq!(server.curl(&["-o", "got"], ETCD), "");
    assert!(fs::read(here("got")).unwrap() == source);
    // A download that was cut off.
    fs::write(here("got"), &source[..10_000]).unwrap();
    assert_eq!(server.curl(&["-o", "got", "-C", "-"], ETCD), "");
    assert!(fs::read(here("got")).unwrap() == source);
    let part = server.curl(&["-r", "100-199"], ETCD);
    assert_eq!(part.as_bytes(), &source[100..200]);
    let size = source.len();
    let head = server.curl(&["--head"], ETCD);
    assert!(
        head.contains(&format!("Content-Length: {size}\r\n")),
        "{head}"
    );
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let beyond = format!("{size}-");
    assert_eq!(server.status(&["-r", &beyond], ETCD), "416");
    let stale = ["-r", "0-9", "-H", "If-Range: \"another\""];
    assert_eq!(server.status(&stale, ETCD), "200");
    assert_eq!(server.status(&["-X", "PUT", "-d", "x"], ETCD), "405");
    for path in [
        "/files/nothing",
        "/etc/passwd",
        "/files/../config.yaml",
        "/files/%2e%2e/x",
        "/files/etcd",
    ] {
        assert_eq!(server.status(&["--path-as-is"], path), "404", "{path}");
    }
    // All of it, as sha256sum reads it.
    let list = server.curl(&[], "/files/");
    let checked = Command::new("sha256sum")
        .current_dir(here("source"))
        .args(["--check", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .and_then(|mut child| {
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes())?;
            child.wait()
        });
    assert!(checked.unwrap().success(), "{list}");
}

#[test]
fn the_registry_answers_as_the_distribution_api_says() {
    let server = Server::new(Site::new());
    assert_eq!(server.curl(&[], "/v2/"), "{}");
    let catalogue = server.curl(&[], "/v2/_catalog");
    assert_eq!(catalogue, r#"{"repositories":["registry.k8s.io/pause"]}"#);
    let tags = server.curl(&[], "/v2/registry.k8s.io/pause/tags/list");
    assert_eq!(
        tags,
        r#"{"name":"registry.k8s.io/pause","tags":["3.10.1"]}"#
    );
    let head = server.curl(&["--head"], "/v2/registry.k8s.io/pause/manifests/3.10.1");
    assert!(head.contains("Docker-Content-Digest: sha256:"), "{head}");
    // As containerd asks a mirror.
    let by_mirror = "/v2/pause/manifests/3.10.1?ns=registry.k8s.io";
    assert_eq!(server.status(&[], by_mirror), "200");
    assert_eq!(server.status(&[], "/v2/pause/manifests/3.10.1"), "404");
    let absent = server.curl(&[], "/v2/registry.k8s.io/pause/manifests/4");
    assert!(absent.contains("MANIFEST_UNKNOWN"), "{absent}");
    let absent = server.curl(&[], "/v2/registry.k8s.io/other/tags/list");
    assert!(absent.contains("NAME_UNKNOWN"), "{absent}");
    assert_eq!(
        server.status(&["-X", "POST"], "/v2/registry.k8s.io/pause/blobs/uploads/"),
        "405"
    );
}

/// Also part of `make e2e`, where skopeo is there.
#[test]
#[ignore = "needs skopeo"]
fn skopeo_copies_an_image_out_of_a_bundle() {
    let server = Server::new(Site::new());
    let from = format!("docker://{}/registry.k8s.io/pause:3.10.1", server.address);
    let copied = Command::new("skopeo")
        .current_dir(server.site.path())
        .args([
            "copy",
            "--src-tls-verify=false",
            "--preserve-digests",
            &from,
            "oci:got:x",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&copied.stderr);
    assert!(copied.status.success(), "{said}");
    let got = server.site.path().join("got/blobs/sha256");
    for blob in got.read_dir_utf8().unwrap() {
        let blob = blob.unwrap();
        let source = server.site.path().join("source/images/blobs/sha256");
        let same = fs::read(source.join(blob.file_name())).unwrap();
        assert!(
            fs::read(blob.path()).unwrap() == same,
            "{}",
            blob.file_name()
        );
    }
}

#[test]
fn an_answer_out_of_a_damaged_frame_is_cut_off_and_not_wrong() {
    let site = Site::new();
    site.damage();
    let server = Server::new(site);
    let mut cut = 0;
    for arch in ["amd64", "arm64"] {
        let path = format!("/files/etcd/v3.5.24/{arch}/etcd.tar.gz");
        let said = server.curl(&["-o", "got"], &path);
        cut += usize::from(said.contains("curl: (18)"));
    }
    assert!(cut > 0);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::new(Site::new());
    let args = ["serve", "small.tar.zst", "--listen", &server.address];
    let text = server.site.told(&args);
    assert!(text.starts_with("exit 2\n"), "{text}");
    assert!(
        text.contains("error: cannot listen on 127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains("hint: --listen names an address"), "{text}");
}
