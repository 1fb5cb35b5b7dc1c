//! How steps talk to a host's shell.

use engine::{Cx, StepError};
use host::{Command, Output};

/// Runs a command as root; a non-zero status is an error that says what was tried and the command's last words.
pub(crate) async fn must(cx: &Cx, trying: &str, command: Command) -> Result<Output, StepError> {
    let output = cx.host.run(&command.as_root()).await?;
    if output.ok() {
        Ok(output)
    } else {
        Err(refused(trying, &output))
    }
}

/// Runs a command as root and takes its status for an answer.
pub(crate) async fn ask(cx: &Cx, command: Command) -> Result<Output, StepError> {
    Ok(cx.host.run(&command.as_root()).await?)
}

/// Has a shell read a script without running it.
#[cfg(test)]
pub(crate) fn reads(script: &str) {
    let output = std::process::Command::new("sh")
        .args(["-n", "-c", script])
        .output()
        .expect("every machine has a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{script}");
}

pub(crate) fn refused(trying: &str, output: &Output) -> StepError {
    let words = output.last_words();
    let said = if words.is_empty() {
        format!("status {}", output.status)
    } else {
        words
    };
    StepError::new(format!("cannot {trying}: {said}"))
}
