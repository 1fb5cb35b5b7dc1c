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
];

/// The last line that tells of damage, shortened to what it says.
pub(super) fn damage(log: &str) -> Option<(String, &'static str)> {
    log.lines().rev().find_map(|line| {
        let low = line.to_lowercase();
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
        assert_eq!(
            last_complaint(down).unwrap(),
            "listen: address already in use"
        );
    }
}
