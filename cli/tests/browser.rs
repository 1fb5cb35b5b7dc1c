//! Pages in a real browser, which has no network. Debian's chromium; `make setup` installs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const STAGES: [(&str, &str, u64); 4] = [
    ("os", "set kernel parameters", 700),
    ("runtime", "upload containerd", 4_000),
    ("etcd", "start etcd.service", 2_500),
    ("proof", "the clock goes by a time source", 300),
];

/// A run on so many hosts. On one of them it fails.
fn report(hosts: u64) -> Value {
    let mut units = Vec::new();
    for host in 0..hosts {
        let name = format!("node{}", host + 1);
        let mut from = 0;
        for (at, (stage, title, took)) in (0..).zip(STAGES) {
            let took = took + host % 7 * 100;
            let id = host * 4 + at;
            let mut unit = json!({
                "id": id, "stage": stage, "task": stage, "host": name, "title": title,
                "started": format!("2026-11-21T08:00:{:02}.{:03}Z", from / 1_000, from % 1_000),
                "took": took, "outcome": "changed", "reason": "<b>not</b> there",
            });
            if at > 0 {
                unit["after"] = json!(id - 1);
            }
            if host == 3 && stage == "etcd" {
                unit["outcome"] = json!("failed");
                unit["error"] = json!("<script>document.title = 'forged'</script>\nexit status 1");
                unit["hint"] = json!("look at it");
            }
            if stage == "proof" {
                unit["outcome"] = json!("satisfied");
                unit["seen"] = json!("3 sources");
            }
            from += took;
            units.push(unit);
        }
    }
    json!({
        "kubexm": "0.1.0", "command": "install", "cluster": "lab", "started": "2026-11-21T08:00:00Z",
        "outcome": "failed", "took": 8_200, "changed": hosts * 3 - 1, "satisfied": hosts, "failed": 1, "skipped": 0,
        "versions": [{"name": "kubernetes", "before": "v1.35.8", "after": "v1.36.2"}], "units": units,
    })
}

fn browser(dir: &Path, page: &Path, args: &[&str]) -> Output {
    let profile = format!("--user-data-dir={}", dir.join("profile").display());
    let output = Command::new("unshare")
        .args([
            "--net",
            "--",
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
        ])
        .args([
            "--enable-logging=stderr",
            "--window-size=1280,1600",
            &profile,
        ])
        .args(args)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("unshare and chromium: make setup installs them");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "chromium: {said}");
    output
}

/// What the browser remarks on a page. It has pages of its own, on which it remarks as well.
fn remarks(output: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let remarks = said
        .lines()
        .filter(|line| line.contains("CONSOLE") && line.contains("source: file://"));
    remarks.map(str::to_owned).collect()
}

fn page_of(dir: &Path, hosts: u64) -> std::path::PathBuf {
    let data = dir.join(format!("report-{hosts}.json"));
    fs::write(&data, report(hosts).to_string()).unwrap();
    let mut kubexm = assert_cmd::Command::cargo_bin("kubexm").unwrap();
    kubexm.arg("report").arg(&data).assert().success();
    data.with_extension("html")
}

/// The width and height of a picture, as its first chunk has them.
fn size(png: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_browser_without_a_network_shows_the_page_and_has_nothing_to_remark() {
    let dir = tempfile::tempdir().unwrap();
    for hosts in [5, 200] {
        let page = page_of(dir.path(), hosts);
        let shown = browser(dir.path(), &page, &["--dump-dom"]);
        assert_eq!(remarks(&shown), Vec::<String>::new());
        let dom = String::from_utf8(shown.stdout).unwrap();
        assert!(dom.contains("<title>install lab</title>"), "{dom}");
        for section in [
            "failures", "decided", "stages", "hosts", "proofs", "changes", "slowest",
        ] {
            assert!(
                dom.contains(&format!("<section id=\"{section}\">")),
                "{section}"
            );
        }
        assert!(!dom.contains("<script") && dom.trim_end().ends_with("</html>"));

        let picture = dir.path().join("page.png");
        let to = format!("--screenshot={}", picture.display());
        let drawn = browser(dir.path(), &page, &["--hide-scrollbars", &to]);
        assert_eq!(remarks(&drawn), Vec::<String>::new());
        let png = fs::read(&picture).unwrap();
        assert_eq!(size(&png), (1280, 1600));
        assert!(
            png.len() > 40_000,
            "there is little on it: {} bytes",
            png.len()
        );

        let paper = dir.path().join("page.pdf");
        let to = format!("--print-to-pdf={}", paper.display());
        browser(dir.path(), &page, &[&to]);
        assert!(fs::read(&paper).unwrap().starts_with(b"%PDF"));
    }
}

/// Otherwise the other test proves nothing.
#[test]
fn a_page_that_wants_something_from_elsewhere_is_remarked_on() {
    let dir = tempfile::tempdir().unwrap();
    let page = page_of(dir.path(), 1);
    let text = fs::read_to_string(&page).unwrap();
    let foreign = text.replace("</main>", "<img src=\"https://example.com/x.png\"></main>");
    fs::write(&page, foreign).unwrap();
    let shown = browser(dir.path(), &page, &["--dump-dom"]);
    assert!(
        !remarks(&shown).is_empty(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
}
