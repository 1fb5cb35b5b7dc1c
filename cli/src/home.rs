//! The home directory of whoever runs the program. Only this crate knows of one.

use std::env;

use camino::{Utf8Path, Utf8PathBuf};

/// `$HOME`, where it is set.
pub fn dir() -> Option<Utf8PathBuf> {
    env::var("HOME")
        .ok()
        .filter(|home| !home.is_empty())
        .map(Utf8PathBuf::from)
}

/// A path as a shell would read it: `~/x` lies in the home directory.
pub fn expand(path: &Utf8Path) -> Utf8PathBuf {
    match (path.strip_prefix("~"), dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
