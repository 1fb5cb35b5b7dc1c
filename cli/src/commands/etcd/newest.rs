//! The newest backup that is there, wherever it is, and how it is brought back.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use pipeline::{BackupNote, MemberSeen};
use serde::Serialize;

/// A snapshot that could be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Newest {
    pub path: Utf8PathBuf,
    /// The member that has it; none where it is on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub taken: Timestamp,
}

/// Of those on this machine that are noted to be of this cluster, and those that the members keep.
pub(super) fn newest<'a>(
    dir: &Utf8Path,
    cluster: &str,
    members: impl Iterator<Item = &'a MemberSeen>,
) -> Option<Newest> {
    let kept = members.filter_map(|member| {
        let backup = member.backup.as_ref()?;
        let newest = backup.newest.as_ref()?;
        Some(Newest {
            path: backup.dir.join(&newest.file),
            host: Some(member.name.clone()),
            taken: newest.taken,
        })
    });
    // Of two that are as old, the one at hand.
    kept.chain(here(dir, cluster)).max_by_key(|it| it.taken)
}

fn here(dir: &Utf8Path, cluster: &str) -> Vec<Newest> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.ok()?.path()).ok());
    let snapshots = paths.filter(|path| path.extension() == Some("db"));
    let noted = snapshots.filter_map(|path| {
        let note = BackupNote::read(&path).ok()??;
        (note.cluster == cluster).then_some(Newest {
            path,
            host: None,
            taken: note.taken,
        })
    });
    noted.collect()
}

impl Newest {
    pub(super) fn place(&self) -> String {
        match &self.host {
            Some(host) => format!("{} on {host}", self.path),
            None => self.path.to_string(),
        }
    }

    /// What brings it back.
    pub(super) fn command(&self, config: &Utf8Path) -> String {
        let Some(host) = &self.host else {
            return format!("kubexm etcd restore {} -f {config}", self.path);
        };
        let file = self.path.file_name().unwrap_or_default();
        format!(
            "scp {host}:{path} {host}:{path}.json . && kubexm etcd restore {file} -f {config}",
            path = self.path
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(dir: &Utf8Path, name: &str, cluster: &str, taken: &str) {
        let note = format!(
            r#"{{"cluster": "{cluster}", "kubernetes": "v1.36.2", "etcd": "3.6.10", "members": ["e1"], "from": "e1",
                "taken": "{taken}", "revision": 1, "keys": 1, "bytes": 1, "sha256": "{}"}}"#,
            "0".repeat(64)
        );
        fs::write(dir.join(name), "").unwrap();
        fs::write(dir.join(format!("{name}.json")), note).unwrap();
    }

    #[test]
    fn the_newest_on_this_machine_is_the_one_of_this_cluster() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        assert_eq!(newest(&dir.join("none"), "c", std::iter::empty()), None);
        note(dir, "old.db", "c", "2026-11-28T00:00:00Z");
        note(dir, "new.db", "c", "2026-11-29T00:00:00Z");
        note(dir, "other.db", "d", "2026-11-30T00:00:00Z");
        note(dir, "cut.db.part", "c", "2026-11-30T00:00:00Z");
        fs::write(dir.join("unknown.db"), "").unwrap();
        let found = newest(dir, "c", std::iter::empty()).unwrap();
        assert_eq!(found.path, dir.join("new.db"));
        assert_eq!(found.place(), dir.join("new.db").to_string());
        let command = found.command("site.yaml".into());
        assert!(
            command.starts_with("kubexm etcd restore /")
                && command.ends_with("new.db -f site.yaml")
        );
    }

    #[test]
    fn one_on_a_member_is_fetched_first() {
        let found = Newest {
            path: "/var/backups/etcd/etcd-e1.db".into(),
            host: Some("e1".to_owned()),
            taken: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(found.place(), "/var/backups/etcd/etcd-e1.db on e1");
        assert_eq!(
            found.command("site.yaml".into()),
            "scp e1:/var/backups/etcd/etcd-e1.db e1:/var/backups/etcd/etcd-e1.db.json . && kubexm etcd restore etcd-e1.db -f site.yaml"
        );
    }
}
