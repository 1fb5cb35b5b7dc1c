//! Reading a small file, the same way on every host.

use camino::Utf8Path;

use crate::{Command, HostError, Output, quote};

const MISSING: u32 = 100;

/// Asks for the bytes of a file.
#[must_use]
pub fn command(path: &Utf8Path) -> Command {
    let path = quote(path.as_str());
    Command::script(format!(
        "test -e {path} || exit {MISSING}\nexec cat -- {path}"
    ))
    .as_root()
}

/// The path that such a command asks for, as a word of the shell.
pub(crate) fn asked(text: &str) -> Option<&str> {
    let (_, path) = text.split_once(&format!(" || exit {MISSING}\nexec cat -- "))?;
    Some(path)
}

/// How a machine answers that.
pub(crate) fn answer(bytes: Option<Vec<u8>>) -> Output {
    Output {
        status: if bytes.is_some() { 0 } else { MISSING },
        stdout: bytes.unwrap_or_default(),
        stderr: Vec::new(),
    }
}

/// What that was answered; none if there is no such file.
pub fn contents(path: &Utf8Path, output: Output) -> Result<Option<Vec<u8>>, HostError> {
    match output.status {
        0 => Ok(Some(output.stdout)),
        MISSING => Ok(None),
        _ => Err(HostError::Source {
            path: path.to_owned(),
            why: output.last_words(),
        }),
    }
}
