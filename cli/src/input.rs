//! Files that people name: configs, keys, keyrings, signers. Read whole, as long as they can be what was meant.

use std::io::{self, Read};

use camino::Utf8Path;

use crate::error::Failure;

/// Many times what a config of ten thousand hosts takes.
pub const LARGEST: u64 = 16 << 20;

/// What a zstd frame begins with, and so a bundle.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a file holds, or what comes out of a pipe.
pub fn read(path: &Utf8Path) -> Result<Vec<u8>, Failure> {
    let source = artifact::open_regular_or_pipe(path).map_err(|source| failed(path, source))?;
    let bytes = whole(path, source)?;
    if bytes.is_empty() && is_pipe(path) {
        return Err(Failure::Usage {
            message: format!("cannot read {path}: it is a pipe, and nothing came out of it"),
            hint: Some("run by itself what is to write into it".to_owned()),
        });
    }
    Ok(bytes)
}

/// Whether it is a pipe, such as a shell makes for `<(command)`.
pub fn is_pipe(path: &Utf8Path) -> bool {
    artifact::is_pipe(path).unwrap_or(false)
}

/// The same as text.
pub fn read_to_string(path: &Utf8Path) -> Result<String, Failure> {
    text(path, read(path)?)
}

/// What was read, as text.
pub fn text(name: &Utf8Path, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.split(|byte| *byte == b'\n').skip(1).count();
        Failure::Usage {
            message: format!("{name}:{line}: this is no UTF-8 text"),
            hint: Some(format!("save it as UTF-8, e.g. iconv -t UTF-8 {name}")),
        }
    })
}

/// What comes from somewhere that is called so.
pub fn whole(name: &Utf8Path, source: impl Read) -> Result<Vec<u8>, Failure> {
    let bytes = limited(source).map_err(|source| failed(name, source))?;
    let refused = |what: &str, hint: &str| Failure::Usage {
        message: format!("{name} {what}"),
        hint: Some(hint.to_owned()),
    };
    if bytes.starts_with(&ZSTD) {
        let hint = "kubexm inspect tells what it holds, kubexm install takes it without -f";
        return Err(refused(
            "is packed, as bundles are: a text is wanted here",
            hint,
        ));
    }
    if bytes.len() as u64 > LARGEST {
        let most = format!(
            "is larger than {} MiB, the most that is read",
            LARGEST >> 20
        );
        return Err(refused(&most, "name the file that was meant"));
    }
    Ok(bytes)
}

/// One byte more than the most at the end, so that too much is seen.
pub fn limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn failed(path: &Utf8Path, source: io::Error) -> Failure {
    Failure::Read {
        path: path.to_owned(),
        source,
    }
}
