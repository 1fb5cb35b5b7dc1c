use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::local_file;

/// A restore that was begun, as the operator's machine remembers it: the next run goes on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// New for each restore: the members' new data has it for its token, so that no member of before takes part.
    pub id: String,
    /// Of the snapshot.
    pub sha256: Sha256,
    pub phase: RestorePhase,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestorePhase {
    Begun,
    /// All members have the new data: nothing is stopped again.
    Swapped,
}

impl Restore {
    /// The one that was begun with this snapshot, or a new one.
    pub fn of(note: &Utf8Path, sha256: Sha256) -> Result<Self, StepError> {
        let begun = local_file::read(note)?;
        let begun = begun.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        if let Some(begun) = begun.filter(|begun| begun.sha256 == sha256) {
            return Ok(begun);
        }
        let salt = format!("{sha256} {}", jiff::Timestamp::now().as_nanosecond());
        let id: String = Sha256::of(salt.as_bytes())
            .to_string()
            .chars()
            .take(12)
            .collect();
        Ok(Self {
            id,
            sha256,
            phase: RestorePhase::Begun,
        })
    }

    fn write(&self, note: &Utf8Path) -> Result<(), StepError> {
        let text = serde_json::to_vec(self)
            .map_err(|error| StepError::new(format!("cannot note the restore: {error}")))?;
        Ok(local_file::write(note, 0o600, &text)?)
    }

    fn noted(note: &Utf8Path) -> Result<Option<Self>, StepError> {
        let bytes = local_file::read(note)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

/// Notes that a restore has begun, before any host is touched.
pub struct BeginRestore {
    pub note: Utf8PathBuf,
    pub restore: Restore,
}

/// Notes that all members have the new data.
pub struct NoteSwapped {
    pub note: Utf8PathBuf,
    pub restore: Restore,
}

/// Forgets a restore that has come to its end.
pub struct EndRestore {
    pub note: Utf8PathBuf,
}

#[async_trait]
impl Step for BeginRestore {
    fn id(&self) -> String {
        "note the restore".to_owned()
    }

    fn describe(&self) -> String {
        "note that a restore has begun".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match Restore::noted(&self.note)? {
            Some(noted) if noted.id == self.restore.id => State::Satisfied,
            _ => State::needed("is not noted"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        self.restore.write(&self.note)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for NoteSwapped {
    fn id(&self) -> String {
        "note the members' new data".to_owned()
    }

    fn describe(&self) -> String {
        "note that all members have the data of the snapshot".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match Restore::noted(&self.note)? {
            Some(noted) if noted.phase == RestorePhase::Swapped => State::Satisfied,
            _ => State::needed("is not noted"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let swapped = Restore {
            phase: RestorePhase::Swapped,
            ..self.restore.clone()
        };
        swapped.write(&self.note)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for EndRestore {
    fn id(&self) -> String {
        "end the restore".to_owned()
    }

    fn describe(&self) -> String {
        "note that the restore has ended".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match local_file::read(&self.note)? {
            None => State::Satisfied,
            Some(_) => State::needed("is noted as begun"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        match std::fs::remove_file(&self.note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StepError::new(
                format!("cannot remove {}: {error}", self.note),
            )),
            _ => Ok(()),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_snapshot_is_taken_up_and_another_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let note = Utf8Path::from_path(dir.path())
            .unwrap()
            .join("restore.json");
        let [one, other] = ["one", "other"].map(|text| Sha256::of(text.as_bytes()));
        let begun = Restore::of(&note, one).unwrap();
        assert_ne!(Restore::of(&note, one).unwrap().id, begun.id);
        begun.write(&note).unwrap();
        assert_eq!(Restore::of(&note, one).unwrap(), begun);
        let another = Restore::of(&note, other).unwrap();
        assert!(another.id != begun.id && another.phase == RestorePhase::Begun);
    }
}
