//! The lab as tests use it: one at a time, beside the one that a person may have up.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A lab of a test's own, in a directory of its own; ended when dropped.
pub struct Lab {
    dir: PathBuf,
    port: String,
    flavor: Flavor,
    /// Where upstream is asked for, as `KUBEXM_MIRROR` takes it.
    mirrors: String,
    work: tempfile::TempDir,
}

/// What the hosts have of their system from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// All that Kubernetes and load balancers need.
    Full,
    /// A bare install.
    Minimal,
}

impl Flavor {
    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Minimal => "minimal",
        }
    }
}

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    /// What it said, stdout first.
    pub text: String,
    pub took: Duration,
}

impl Ended {
    /// The command did what it should.
    pub fn ok(self) -> Result<Self> {
        ensure!(
            self.code == Some(0),
            "status {:?}:\n{}",
            self.code,
            self.text
        );
        Ok(self)
    }

    /// The command ended with this status.
    pub fn with(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == Some(code),
            "status {:?}, not {code}:\n{}",
            self.code,
            self.text
        );
        Ok(self)
    }
}

/// Where tests have their lab, and its upstream's port, unless `KUBEXM_E2E_DIR` and `KUBEXM_E2E_PORT` say otherwise:
/// so that two may be tested on one machine.
const DIR: &str = "/var/tmp/kubexm-e2e";
const PORT: &str = "18580";

impl Lab {
    /// Boots this many hosts; the last is the registry.
    pub fn up(nodes: usize) -> Result<Self> {
        Self::of(Flavor::Full, nodes)
    }

    /// The same of a flavor.
    pub fn of(flavor: Flavor, nodes: usize) -> Result<Self> {
        let work = tempfile::Builder::new()
            .prefix("kubexm-e2e-")
            .tempdir_in("/var/tmp")?;
        let port = std::env::var("KUBEXM_E2E_PORT").unwrap_or_else(|_| PORT.to_owned());
        let mut lab = Self {
            dir: std::env::var_os("KUBEXM_E2E_DIR").map_or_else(|| DIR.into(), PathBuf::from),
            mirrors: format!("*=http://127.0.0.1:{port}"),
            port,
            flavor,
            work,
        };
        // What a killed test left behind.
        lab.lab(&["down"])?.ok()?;
        let up = lab
            .command(lab_program())
            .arg("up")
            .env("NODES", nodes.to_string())
            .output()?;
        ended(&up, Instant::now()).ok().context("lab up")?;
        if flavor == Flavor::Minimal {
            let archive = lab.lab(&["archive"])?.ok()?.text;
            write!(lab.mirrors, " deb.debian.org={}", archive.trim())?;
        }
        Ok(lab)
    }

    /// A directory for this test's files.
    #[must_use]
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// `tests/lab/lab ARGUMENTS...`
    pub fn lab(&self, arguments: &[&str]) -> Result<Ended> {
        let started = Instant::now();
        let output = self.command(lab_program()).args(arguments).output()?;
        Ok(ended(&output, started))
    }

    /// A shell command on a node; what it printed.
    pub fn on(&self, node: &str, script: &str) -> Result<String> {
        let ended = self.lab(&["ssh", node, script])?.ok();
        Ok(ended.with_context(|| format!("on {node}: {script}"))?.text)
    }

    /// A file of this machine on a node, which nobody there has brought.
    pub fn put(&self, node: &str, from: &Path, to: &str) -> Result<()> {
        let root = self.dir.join("site/nodes").join(node).join("root");
        let to = root.join(to.trim_start_matches('/'));
        let above = to.parent().context("a file is in a directory")?;
        std::fs::create_dir_all(above)?;
        std::fs::copy(from, &to).with_context(|| format!("{}", to.display()))?;
        Ok(())
    }

    /// A config for the site that is up.
    pub fn config(&self) -> Result<String> {
        Ok(self.lab(&["config"])?.ok()?.text)
    }

    /// `kubexm ARGUMENTS...` where there is Internet, which is the lab's upstream, and the archive of this machine's apt.
    #[must_use]
    pub fn connected(&self, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(kubexm());
        command
            .current_dir(dir)
            .args(arguments)
            .env("KUBEXM_MIRROR", &self.mirrors);
        command
    }

    /// `kubexm ARGUMENTS...` inside of the site.
    #[must_use]
    pub fn inside(&self, dir: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(lab_program());
        command
            .current_dir(dir)
            .arg("enter")
            .arg(kubexm())
            .args(arguments);
        command
    }

    /// A script of a shell inside of the site.
    #[must_use]
    pub fn inside_shell(&self, script: &str) -> Command {
        let mut command = self.command(lab_program());
        command.args(["enter", "sh", "-c", script]);
        command
    }

    /// Nobody has asked for anything outside of the site; if somebody has, who it was and for what.
    pub fn nobody_asked_for_the_world(&self) -> Result<()> {
        let text = self.lab(&["egress"])?.ok()?.text;
        let counts: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("packets "))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        ensure!(counts.len() == 2, "two counters expected:\n{text}");
        ensure!(
            counts == [0, 0],
            "something tried to leave the site:\n{text}"
        );
        Ok(())
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBEXM_LAB_DIR", &self.dir)
            .env("KUBEXM_LAB_PORT", &self.port)
            .env("KUBEXM_LAB_CACHE", cache())
            .env("FLAVOR", self.flavor.name())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that failed must not fail again here; the next one ends what is left.
        let _ = self.lab(&["down"]);
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Result<Ended> {
    let started = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    Ok(ended(&output, started))
}

/// Starts a command and kills it, with all that it started, after this time. Whether it was still running.
pub fn kill_after(mut command: Command, time: Duration) -> Result<bool> {
    use std::os::unix::process::CommandExt;
    let mut child = command
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let group = format!("-{}", child.id());
    let killed = Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()?;
    ensure!(killed.success(), "cannot kill {group}");
    child.wait()?;
    Ok(true)
}

fn ended(output: &Output, started: Instant) -> Ended {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ended {
        code: output.status.code(),
        text,
        took: started.elapsed(),
    }
}

/// The program under test.
#[must_use]
pub fn kubexm() -> PathBuf {
    std::env::var_os("KUBEXM")
        .map_or_else(|| repository().join("target/debug/kubexm"), PathBuf::from)
}

fn lab_program() -> PathBuf {
    repository().join("tests/lab/lab")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Base roots and packages are shared with the lab that people use.
fn cache() -> PathBuf {
    std::env::var_os("KUBEXM_LAB_CACHE")
        .map_or_else(|| PathBuf::from("/var/tmp/kubexm-lab/cache"), PathBuf::from)
}

/// The first difference of two texts, line by line.
pub fn same(left: &str, right: &str) -> Result<()> {
    let longest = left.lines().count().max(right.lines().count());
    let padded = |text: &str| {
        let lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines
            .into_iter()
            .chain(std::iter::repeat(String::new()))
            .take(longest)
            .collect::<Vec<_>>()
    };
    for (left, right) in padded(left).iter().zip(&padded(right)) {
        if left != right {
            bail!("these lines differ:\n  {left}\n  {right}");
        }
    }
    Ok(())
}
