//! What a member has said in its log before it fell silent.

use serde::Deserialize;

/// What etcd says where it cannot read what it has written, and what is damaged then.
const DAMAGES: &[(&str, &str)] = &[
    ("was the raft log corrupted", "damaged log"),
    ("cannot be repaired", "damaged log"),
    ("failed to read wal", "damaged log"),
    ("wal: crc mismatch", "damaged log"),
    ("walpb: crc mismatch", "damaged log"),
    ("wal: slice bounds", "damaged log"),
    ("failed to open wal", "damaged log"),
    ("failed to find database snapshot file", "damaged store"),
    ("failed to recover v3 backend", "damaged store"),
    ("snap: crc mismatch", "damaged store"),
    ("invalid database", "damaged store"),
    ("failed to open database", "damaged store"),
    ("database file is corrupt", "damaged store"),
    ("checksum error", "damaged store"),
    ("conflict with committed entry", "damaged log"),
];

/// What keeps it from reading what is whole.
const EXCUSES: &[&str] = &[
    "no space left on device",
    "permission denied",
    "read-only file system",
    "too many open files",
    "cannot allocate memory",
];

/// What etcd says first when it starts.
const START: &str = "\"msg\":\"Running: \"";

/// Of a log of several starts the lines of the last one.
pub(super) fn of_last_start(log: &str) -> &str {
    let at = log
        .rfind(START)
        .map_or(0, |at| log[..at].rfind('\n').map_or(0, |end| end + 1));
    &log[at..]
}

/// The last line that tells of damage, shortened to what it says.
pub(super) fn damage(log: &str) -> Option<(String, &'static str)> {
    log.lines().rev().find_map(|line| {
        let low = line.to_lowercase();
        if EXCUSES.iter().any(|words| low.contains(words)) {
            return None;
        }
        let (_, damage) = DAMAGES.iter().find(|(words, _)| low.contains(words))?;
        Some((said(line), *damage))
    })
}

/// The last line that tells of anything else that went wrong.
pub(super) fn last_complaint(log: &str) -> Option<String> {
    let complains = |line: &&str| {
        [
            "\"level\":\"fatal\"",
            "\"level\":\"panic\"",
            "\"level\":\"error\"",
            "panic:",
        ]
        .iter()
        .any(|level| line.contains(level))
    };
    log.lines().rev().find(complains).map(said)
}

/// Of a line of JSON its message and its error.
fn said(line: &str) -> String {
    #[derive(Deserialize)]
    struct Line {
        msg: String,
        #[serde(default)]
        error: String,
    }
    let text = match serde_json::from_str::<Line>(line) {
        Ok(Line { msg, error }) if error.is_empty() => msg,
        Ok(Line { msg, error }) => format!("{msg}: {error}"),
        Err(_) => line.to_owned(),
    };
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_start_said_is_of_no_account() {
        let start = r#"{"level":"info","msg":"Running: ","args":["etcd"]}"#;
        let panic = r#"{"level":"panic","msg":"wal: crc mismatch"}"#;
        let fine = r#"{"level":"info","msg":"ready to serve"}"#;
        let mended = [start, panic, start, fine].join("\n");
        assert!(damage(&mended).is_some());
        assert!(damage(of_last_start(&mended)).is_none());
        let again = format!("{mended}\n{start}\n{panic}");
        assert!(damage(of_last_start(&again)).is_some());
        assert_eq!(of_last_start(panic), panic);
    }

    #[test]
    fn a_damaged_log_is_told_from_a_member_that_is_down() {
        let log = r#"etcd.service is failed
{"level":"info","msg":"starting"}
{"level":"panic","msg":"tocommit(9) is out of range [lastIndex(3)]. Was the raft log corrupted, truncated, or lost?"}
{"level":"info","msg":"after"}"#;
        let (line, what) = damage(log).unwrap();
        assert_eq!(what, "damaged log");
        assert!(line.starts_with("tocommit(9)"), "{line}");
        let down = "{\"level\":\"fatal\",\"msg\":\"listen\",\"error\":\"address already in use\"}";
        assert!(damage(down).is_none());
        let full = r#"{"level":"fatal","msg":"failed to open WAL","error":"write /var/lib/etcd/member/wal: no space left on device"}"#;
        assert!(damage(full).is_none());
        assert_eq!(
            last_complaint(down).unwrap(),
            "listen: address already in use"
        );
    }
}
