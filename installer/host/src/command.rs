use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// As whom a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The user that logged in.
    Login,
    /// root, through sudo where the login is not root.
    Root,
}

/// A command for a host's `sh`.
#[derive(Clone)]
pub struct Command {
    script: String,
    privilege: Privilege,
    stdin: Option<Bytes>,
    timeout: Duration,
}

impl Command {
    /// Long enough for a slow disk, short enough to notice a dead host.
    const TIMEOUT: Duration = Duration::from_mins(2);

    /// A program with its arguments, each quoted.
    pub fn new<I, S>(argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let words: Vec<String> = argv.into_iter().map(|word| quote(word.as_ref())).collect();
        Self::script(words.join(" "))
    }

    /// A POSIX shell script, taken as it is. Values from outside go in through [`quote`].
    #[must_use]
    pub fn script(script: impl Into<String>) -> Self {
        Self {
            script: script.into(),
            privilege: Privilege::Login,
            stdin: None,
            timeout: Self::TIMEOUT,
        }
    }

    #[must_use]
    pub fn as_root(mut self) -> Self {
        self.privilege = Privilege::Root;
        self
    }

    /// What the command reads. The way for secrets: never shown, in no process list.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Bytes>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.script
    }

    /// Enough of the script to know it again in a message.
    #[must_use]
    pub fn brief(&self) -> String {
        const WIDTH: usize = 80;
        let mut lines = self
            .script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let mut brief: String = first.chars().take(WIDTH).collect();
        if lines.next().is_some() || first.chars().count() > WIDTH {
            brief.push_str(" ...");
        }
        brief
    }

    #[must_use]
    pub fn privilege(&self) -> Privilege {
        self.privilege
    }

    #[must_use]
    pub fn input(&self) -> Option<&Bytes> {
        self.stdin.as_ref()
    }

    #[must_use]
    pub fn limit(&self) -> Duration {
        self.timeout
    }

    /// Whether it can be asked together with others: by root, of itself.
    #[must_use]
    pub fn is_question(&self) -> bool {
        self.privilege == Privilege::Root && self.stdin.is_none()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("script", &self.script)
            .field("privilege", &self.privilege)
            .field("stdin", &self.stdin.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// What a command left behind.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + n where signal n ended it.
    pub status: u32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    /// What it printed, without the last line break.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// The last words it said on stderr (or on stdout, if it was silent there), for an error message.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = if self.stderr.iter().all(u8::is_ascii_whitespace) {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let lines = counted(&lines[lines.len().saturating_sub(50)..]);
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// Each line once, where it is said last, with how often.
fn counted(lines: &[&str]) -> Vec<String> {
    let times = |line: &str| lines.iter().filter(|other| **other == line).count();
    let last = |at: usize| !lines[at + 1..].contains(&lines[at]);
    let kept = lines.iter().enumerate().filter(|(at, _)| last(*at));
    kept.map(|(_, line)| match times(line) {
        1 => (*line).to_owned(),
        times => format!("{line} ({times} times)"),
    })
    .collect()
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The output of a command may hold what a file holds.
        f.debug_struct("Output")
            .field("status", &self.status)
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .finish()
    }
}

/// One word of a POSIX shell, whatever it holds.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_shell_as_they_are() {
        let words = [
            "",
            "a b",
            "it's",
            "$HOME",
            "x;rm -rf /",
            "-n",
            "ü",
            "new\nline",
        ];
        let command = Command::new(["printf", "%s|"].into_iter().chain(words));
        let out = std::process::Command::new("sh")
            .args(["-c", command.text()])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(out.stdout).unwrap(),
            words.join("|") + "|"
        );
    }

    #[test]
    fn a_message_names_a_command_by_its_beginning() {
        assert_eq!(Command::new(["true"]).brief(), "true");
        assert_eq!(
            Command::script("\n  set -e\n  exit 1\n").brief(),
            "set -e ..."
        );
        assert_eq!(
            Command::script("x".repeat(100)).brief(),
            "x".repeat(80) + " ..."
        );
    }

    #[test]
    fn what_a_command_reads_is_never_shown() {
        let command = Command::new(["tee", "/etc/secret"])
            .stdin("hunter2")
            .as_root();
        assert!(!format!("{command:?}").contains("hunter2"));
    }

    #[test]
    fn last_words_prefer_stderr_and_skip_empty_lines() {
        let output = Output {
            status: 1,
            stdout: b"out\n".to_vec(),
            stderr: b"a\n\nb\n".to_vec(),
        };
        assert_eq!(output.last_words(), "a\nb");
        let again = Output {
            stderr: b"refused\nrefused\nb\nrefused\n".to_vec(),
            ..output.clone()
        };
        assert_eq!(again.last_words(), "b\nrefused (3 times)");
        let silent = Output {
            stderr: b"\n".to_vec(),
            ..output
        };
        assert_eq!(silent.last_words(), "out");
    }
}
