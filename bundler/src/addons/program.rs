//! Programs of the bundle that are run while it is made.

use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use tokio::process::Command;

use super::error::AddonError;

/// A large chart takes some seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a program prints. It gets an environment of its own, and needs no network.
pub(crate) async fn output(
    name: &'static str,
    program: &Utf8Path,
    arguments: &[String],
) -> Result<String, AddonError> {
    let cannot = |error: std::io::Error| AddonError::NoProgram {
        program: name,
        cause: error.to_string(),
    };
    let home = tempfile::tempdir().map_err(cannot)?;
    let program = std::path::absolute(program).map_err(cannot)?;
    let run = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| AddonError::Silent {
            program: name,
            seconds: PATIENCE.as_secs(),
        })?
        .map_err(cannot)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: String = lines
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(600)
        .collect();
    Err(AddonError::Failed {
        program: name,
        said,
    })
}
