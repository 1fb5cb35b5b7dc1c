//! The end of what was done on a host, for whoever reads why it failed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use camino::Utf8Path;

const LINES: usize = 12;
/// Many times what so many lines take.
const BYTES: u64 = 16 << 10;
const WIDTH: usize = 400;

/// The last lines of a host's log below the state of a cluster. None where there is no log.
pub fn of_host(state: &Utf8Path, host: &str) -> Vec<String> {
    let is_name = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    if !is_name || host.starts_with('.') {
        return Vec::new();
    }
    read(&state.join("hosts").join(host).join("log")).unwrap_or_default()
}

fn read(path: &Utf8Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let from = end.saturating_sub(BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may have begun before.
    let lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    Ok(last.iter().map(|line| cut(line)).collect())
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{} ...", &line[..at]),
        None => line.to_owned(),
    }
}
