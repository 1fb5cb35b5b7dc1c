use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, State, Step, StepError};
use host::{FileAttrs, Source};

/// Keeps a marked block of lines in a file that belongs to the host, and leaves every other line alone. The file is
/// made if it is missing.
pub struct EditBlock {
    pub path: Utf8PathBuf,
    /// Tells this block from others, e.g. the cluster's name.
    pub owner: String,
    pub lines: String,
    /// How a missing file is begun.
    pub preface: &'static str,
}

impl EditBlock {
    async fn current(&self, cx: &Cx) -> Result<Option<String>, StepError> {
        let bytes = cx.host.read(&self.path).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The file as it shall be.
    fn edited(&self, current: Option<&str>) -> String {
        let (begin, end) = (
            format!("# BEGIN kubexm {}", self.owner),
            format!("# END kubexm {}", self.owner),
        );
        let mut kept = String::new();
        let mut inside = false;
        for line in current.unwrap_or(self.preface).lines() {
            if line == begin {
                inside = true;
            } else if line == end {
                inside = false;
            } else if !inside {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        format!("{kept}{begin}\n{}{end}\n", self.lines)
    }
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
        self.lines.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let current = self.current(cx).await?;
        Ok(match &current {
            None => State::needed("the file is not there"),
            Some(text) if *text == self.edited(Some(text)) => State::Satisfied,
            Some(_) => State::needed("the block differs"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let text = self.edited(self.current(cx).await?.as_deref());
        let source = Source::Bytes(text.into());
        Ok(cx
            .host
            .upload(&source, &self.path, &FileAttrs::root(0o644), &cx.progress)
            .await?)
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
    fn other_lines_stay_and_the_block_is_there_once() {
        let once = block("10.0.0.1 a\n").edited(Some("127.0.0.1 localhost\n10.9.9.9 printer"));
        assert_eq!(
            once,
            "127.0.0.1 localhost\n10.9.9.9 printer\n# BEGIN kubexm demo\n10.0.0.1 a\n# END kubexm demo\n"
        );
        assert_eq!(block("10.0.0.1 a\n").edited(Some(&once)), once);
        let other = block("10.0.0.2 b\n").edited(Some(&once));
        assert!(
            other.contains("printer")
                && other.contains("10.0.0.2 b")
                && !other.contains("10.0.0.1 a")
        );
    }

    #[test]
    fn a_missing_file_begins_with_the_preface() {
        assert!(
            block("")
                .edited(None)
                .starts_with("127.0.0.1 localhost\n# BEGIN")
        );
    }
}
