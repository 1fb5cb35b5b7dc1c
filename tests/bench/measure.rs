//! What a command costs.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use camino::Utf8Path;

/// What a command costs, all processes that it is made of together.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The most resident memory. Pages that processes share count for each.
    pub memory: u64,
}

/// How often the memory is looked at. The kernel keeps each process's peak, so that nothing between is missed but the
/// last growth before an end.
const LOOK: Duration = Duration::from_millis(10);

/// Runs a command to its end. What it says goes to the log.
pub fn measure(command: &[String], log: &Utf8Path) -> Result<Cost> {
    let times = log.with_extension("times");
    let output = File::create(log)?;
    let start = Instant::now();
    let mut child = Command::new("/usr/bin/time")
        .args(["--quiet", "--format=%U %S", "--output", times.as_str()])
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("/usr/bin/time")?;
    let root = child.id();
    let (status, wall, memory) = thread::scope(|scope| {
        let (done, ended) = mpsc::channel();
        let watcher = scope.spawn(move || watch(root, &ended));
        let status = child.wait();
        let wall = start.elapsed();
        drop(done);
        (status, wall, watcher.join().unwrap_or_default())
    });
    ensure!(
        status?.success(),
        "{} failed:\n{}",
        command.join(" "),
        fs::read_to_string(log)?
    );
    Ok(Cost {
        wall,
        cpu: cpu(&fs::read_to_string(times)?)?,
        memory,
    })
}

fn cpu(times: &str) -> Result<Duration> {
    let seconds = times
        .split_whitespace()
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>();
    seconds
        .map(Duration::from_secs_f64)
        .map_err(|error| anyhow!("time printed {times:?}: {error}"))
}

/// The most memory that the processes below this one had at the same time.
fn watch(root: u32, ended: &Receiver<()>) -> u64 {
    let mut peak = 0;
    loop {
        peak = peak.max(below(root));
        if ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
            return peak;
        }
    }
}

/// Processes come and go while they are looked at: one that is gone has no memory.
fn below(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let children = threads.into_iter().flatten().flatten().flat_map(|thread| {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children = list
            .split_whitespace()
            .filter_map(|child| child.parse().ok());
        children.collect::<Vec<u32>>()
    });
    children.map(|child| peak_of(child) + below(child)).sum()
}

fn peak_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}
