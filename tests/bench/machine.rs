//! What the numbers were measured on.

use std::fs;
use std::process::Command;
use std::thread;

/// The machine and the peers, in lines.
pub fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let lines = [
        format!(
            "machine  {cores} cores ({}), {} of memory, load average {}",
            field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned()),
            load()
        ),
        format!(
            "peers    {}; {}; {}; {}; {}",
            version("tar", "--version"),
            version("zstd", "--version"),
            version("skopeo", "--version"),
            version("docker-registry", "--version"),
            version("ssh", "-V"),
        ),
    ];
    lines.join("\n")
}

/// How busy the machine is.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a program says of its version, wherever it says it.
fn version(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return format!("{program} is missing");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or_default();
    line.trim_matches(|c: char| c == '*' || c == ' ').to_owned()
}
