//! The acts, and who else does them how.

mod pack;
mod push;
mod unpack;
mod upload;

use std::env;

use anyhow::{Context, Result};

pub use pack::Pack;
pub use push::Push;
pub use unpack::Unpack;
pub use upload::Upload;

/// `bench act …`: kubexm's part as a process of its own.
fn kubexm(args: &[&str]) -> Result<Vec<String>> {
    let program = env::current_exe()?
        .into_os_string()
        .into_string()
        .ok()
        .context("this program's path is not UTF-8")?;
    Ok(words(&[&[program.as_str(), "act"], args].concat()))
}

/// A line of shell as people script it. Any command of a pipe that fails lets it fail.
fn shell(script: &str, args: &[&str]) -> Vec<String> {
    let start = ["bash", "-o", "errexit", "-o", "pipefail", "-c", script, "-"];
    words(&[start.as_slice(), args].concat())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
