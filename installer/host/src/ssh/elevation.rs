use secrecy::SecretString;

use crate::{Output, shell};

/// What sudo prints when it wants the password.
pub(super) const PROMPT: &str = "kubexm: sudo asks";
/// What every script prints first, on both streams; its process group follows. What comes before was said by sudo or by
/// the login's own scripts.
pub(super) const RUNS: &str = "kubexm: runs ";
/// sudo quotes a script that it refuses, so the script must not hold the words themselves.
const ANNOUNCE: &str = "read -r a b c d group e </proc/self/stat\n\
                        printf '%s runs %s\\n' kubexm: \"$group\" >&2\n\
                        printf '%s runs %s\\n' kubexm: \"$group\"\n\
                        unset a b c d e group\n";

/// How a command becomes what it shall be: the login itself, or root.
#[derive(Clone, Debug)]
pub(super) enum Elevation {
    /// As it is: the login suffices.
    None,
    /// sudo that asks for nothing.
    Free,
    /// sudo that asks.
    Password(SecretString),
}

impl Elevation {
    /// What stands before `sh`, and the script for it.
    pub(super) fn wrap(&self, script: &str) -> (String, String) {
        let script = format!("{ANNOUNCE}{}", shell::script(script));
        match self {
            Self::None => (String::new(), script),
            Self::Free => ("sudo -n -- ".to_owned(), script),
            // -k: an answer that sudo remembers would not be asked for again, but only for some commands.
            Self::Password(_) => (format!("sudo -k -S -p '{PROMPT}' -- "), script),
        }
    }

    pub(super) fn password(&self) -> Option<&SecretString> {
        match self {
            Self::Password(password) => Some(password),
            Self::None | Self::Free => None,
        }
    }

    /// Why sudo did not run a command though the password was right.
    pub(super) fn refusal(output: &Output) -> String {
        // There it quotes the whole script.
        if String::from_utf8_lossy(&output.stderr).contains("is not allowed to execute") {
            return "it allows the user some commands, but not all".to_owned();
        }
        output.last_words()
    }

    /// Asks sudo whether it lets the login through without a password; not out of what it remembers.
    pub(super) const PROBE: &str = "sudo -k -n -- sh -c :";

    /// What the answer to [`Self::PROBE`] means; an error is why sudo will never do.
    pub(super) fn judge(probe: &Output, password: Option<&SecretString>) -> Result<Self, String> {
        let said = probe.last_words();
        match (probe.status, password) {
            (0, _) => Ok(Self::Free),
            (127, _) => Err("sudo is not installed, and the login is not root".to_owned()),
            // Other refusals before the password: a terminal is wanted, the user or the host is not allowed.
            _ if !ASKS.iter().any(|asks| said.contains(asks)) => Err(said),
            (_, Some(password)) => Ok(Self::Password(password.clone())),
            (_, None) => Err("it asks for a password, and none is given".to_owned()),
        }
    }
}

/// How sudo, and sudo-rs after it, say that they would ask for a password.
const ASKS: [&str; 2] = [
    "password is required",
    "interactive authentication is required",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u32, stderr: &str) -> Output {
        Output {
            status,
            stdout: Vec::new(),
            stderr: stderr.into(),
        }
    }

    #[test]
    fn the_probe_tells_how_to_become_root() {
        let password = SecretString::from("hunter2");
        let asks = said(1, "sudo: a password is required\n");
        assert!(matches!(
            Elevation::judge(&said(0, ""), None),
            Ok(Elevation::Free)
        ));
        assert!(matches!(
            Elevation::judge(&asks, Some(&password)),
            Ok(Elevation::Password(_))
        ));
        let asks_too = said(1, "sudo: interactive authentication is required\n");
        assert!(matches!(
            Elevation::judge(&asks_too, Some(&password)),
            Ok(Elevation::Password(_))
        ));
        let no = |output: &Output, password| Elevation::judge(output, password).unwrap_err();
        assert_eq!(no(&asks, None), "it asks for a password, and none is given");
        assert_eq!(
            no(&said(127, "sh: 1: sudo: not found"), Some(&password)),
            "sudo is not installed, and the login is not root"
        );
        let tty = "sudo: sorry, you must have a tty to run sudo";
        assert_eq!(no(&said(1, tty), Some(&password)), tty);
    }

    #[test]
    fn the_password_is_in_no_command_line() {
        let elevation = Elevation::Password(SecretString::from("hunter2"));
        let (prefix, script) = elevation.wrap("id");
        assert!(!format!("{prefix}{script}{elevation:?}").contains("hunter2"));
    }

    #[test]
    fn a_script_says_that_it_runs_but_does_not_hold_the_words() {
        let (_, script) = Elevation::None.wrap("echo \"$group\"");
        assert!(!script.contains(RUNS));
        let out = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let group = rustix::process::getpgrp().as_raw_nonzero();
        assert_eq!(
            String::from_utf8(out.stderr).unwrap(),
            format!("{RUNS}{group}\n")
        );
        assert_eq!(
            String::from_utf8(out.stdout).unwrap(),
            format!("{RUNS}{group}\n\n")
        );
    }
}
