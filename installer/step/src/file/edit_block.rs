use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{FileAttrs, Source};

use crate::RemoveBlock;
use crate::before::{self, Resource};

/// Keeps a marked block of lines in a file that belongs to the host, and leaves every other line alone. The file is
/// made if it is missing.
pub struct EditBlock {
    pub path: Utf8PathBuf,
    /// Tells this block from others, e.g. the cluster's name.
    pub owner: String,
    pub lines: Arc<str>,
    /// How a missing file is begun.
    pub preface: &'static str,
}

impl EditBlock {
    /// The file as it shall be. Its other lines are copied byte for byte, whatever they hold.
    fn edited(&self, current: Option<&[u8]>) -> Result<Vec<u8>, StepError> {
        let current = current.unwrap_or(self.preface.as_bytes());
        let mut edited = Self::without(&self.path, &self.owner, current)?;
        let (begin, end) = marks(&self.owner);
        edited.extend_from_slice(format!("{begin}\n{}{end}\n", self.lines).as_bytes());
        Ok(edited)
    }

    /// The file without its block, if it has one. A block's last line is followed by others only after a line break, and
    /// so the last line of all may get one.
    pub(crate) fn without(
        path: &Utf8Path,
        owner: &str,
        current: &[u8],
    ) -> Result<Vec<u8>, StepError> {
        let (begin, end) = marks(owner);
        let mut rest = Vec::new();
        let mut begun_at = None;
        for (number, line) in current.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            if text == begin.as_bytes() {
                begun_at = Some(number + 1);
            } else if text == end.as_bytes() {
                begun_at = None;
            } else if begun_at.is_none() {
                rest.extend_from_slice(text);
                rest.push(b'\n');
            }
        }
        match begun_at {
            None => Ok(rest),
            Some(number) => Err(StepError::new(format!(
                "the block that begins in line {number} of {path} is not closed"
            ))
            .with_hint(format!("put the line '{end}' where it ends"))),
        }
    }
}

/// The lines around an owner's block.
pub(crate) fn marks(owner: &str) -> (String, String) {
    (
        format!("# BEGIN kubexm {owner}"),
        format!("# END kubexm {owner}"),
    )
}

#[async_trait]
impl Step for EditBlock {
    fn id(&self) -> String {
        format!("block in {}", self.path)
    }

    fn describe(&self) -> String {
        format!("keep the cluster's block in {}", self.path)
    }

    fn inputs(&self) -> String {
        self.lines.to_string()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let current = cx.host.read(&self.path).await?;
        let edited = self.edited(current.as_deref())?;
        Ok(match current {
            None => State::needed("the file is not there"),
            Some(current) if current == edited => State::Satisfied,
            Some(_) => State::needed("the block differs"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.path.clone())]).await?;
        let current = cx.host.read(&self.path).await?;
        let source = Source::Bytes(self.edited(current.as_deref())?.into());
        Ok(cx
            .host
            .upload(&source, &self.path, &FileAttrs::root(0o644), &cx.progress)
            .await?)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemoveBlock {
            path: self.path.clone(),
            owner: self.owner.clone(),
            preface: self.preface,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &str) -> EditBlock {
        EditBlock {
            path: "/etc/hosts".into(),
            owner: "demo".into(),
            lines: lines.into(),
            preface: "127.0.0.1 localhost\n",
        }
    }

    #[test]
    fn other_lines_stay_byte_for_byte_and_the_block_is_there_once() {
        let hosts = b"127.0.0.1 localhost\n10.9.9.9 printer # b\xfcro";
        let once = block("10.0.0.1 a\n").edited(Some(hosts)).unwrap();
        let wanted = b"127.0.0.1 localhost\n10.9.9.9 printer # b\xfcro\n\
            # BEGIN kubexm demo\n10.0.0.1 a\n# END kubexm demo\n";
        assert_eq!(once, wanted);
        assert_eq!(block("10.0.0.1 a\n").edited(Some(&once)).unwrap(), once);
        let other = block("10.0.0.2 b\n").edited(Some(&once)).unwrap();
        let other = String::from_utf8_lossy(&other).into_owned();
        assert!(other.contains("printer") && other.contains("10.0.0.2 b"));
        assert!(!other.contains("10.0.0.1 a"));
    }

    #[test]
    fn a_missing_file_begins_with_the_preface() {
        let made = block("").edited(None).unwrap();
        assert!(made.starts_with(b"127.0.0.1 localhost\n# BEGIN"));
    }

    #[test]
    fn a_block_that_is_not_closed_is_left_alone() {
        let torn = b"a\n# BEGIN kubexm demo\nb\n10.9.9.9 printer\n";
        let error = block("").edited(Some(torn)).unwrap_err();
        insta::assert_snapshot!(error, @"the block that begins in line 2 of /etc/hosts is not closed");
        insta::assert_snapshot!(error.hint().unwrap(), @"put the line '# END kubexm demo' where it ends");
    }
}
