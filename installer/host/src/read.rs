//! Reading a small file, the same way on every host.

use camino::Utf8Path;

use crate::{Command, HostError, Output, quote};

const MISSING: u32 = 100;

pub(crate) fn command(path: &Utf8Path) -> Command {
    let path = quote(path.as_str());
    Command::script(format!(
        "test -e {path} || exit {MISSING}\nexec cat -- {path}"
    ))
    .as_root()
}

pub(crate) fn contents(path: &Utf8Path, output: Output) -> Result<Option<Vec<u8>>, HostError> {
    match output.status {
        0 => Ok(Some(output.stdout)),
        MISSING => Ok(None),
        _ => Err(HostError::Source {
            path: path.to_owned(),
            why: output.last_words(),
        }),
    }
}
