//! The far side's `sh`: how a script gets there whole, whatever the login shell is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::quote;

/// What every script finds: messages that can be parsed, and the system's programs even where the login's PATH or
/// sudo's `secure_path` leaves them out.
const ENVIRONMENT: &str = "LC_ALL=C; PATH=\"$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"; \
                           export LC_ALL PATH\n";

/// What no script finds: the proxies of the login, of sudo and of PAM. What is asked is in the site, and no proxy is
/// between. kubeadm even writes them into the pods of the control plane: each variable whose name ends so, in any case.
const NO_PROXIES: &str = "unset $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*_[Pp][Rr][Oo][Xx][Yy]\\)=.*/\\1/p') kubexm\n";

/// The script as it is given to `sh -c`.
pub(crate) fn script(text: &str) -> String {
    format!("{ENVIRONMENT}{NO_PROXIES}{text}")
}

/// What reads the command line before `sh` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginShell {
    /// Its quoting is that of POSIX.
    Posix,
    /// csh cannot quote a line break, fish takes backslashes within quotes: they get letters only.
    Other,
}

impl LoginShell {
    /// By the value of `SHELL`.
    pub(crate) fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("sh" | "bash" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" | "zsh" | "busybox") => {
                Self::Posix
            }
            _ => Self::Other,
        }
    }

    /// A command line that runs `script` with `sh`. `prefix` comes before it and is made of plain words.
    pub(crate) fn line(self, prefix: &str, script: &str) -> String {
        match self {
            Self::Posix => format!("{prefix}sh -c {}", quote(script)),
            Self::Other => {
                format!(
                    "{prefix}sh -c 'eval \"$(echo {} | base64 -d)\"'",
                    STANDARD.encode(script)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = "printf '%s|' 'a\\\\b' \"it's\" '!x' \"$HOME\" '\\'\nprintf done";

    fn through(shell: &str, line: &str) -> String {
        let out = std::process::Command::new(shell)
            .args(["-c", line])
            .env("HOME", "/h")
            .output();
        String::from_utf8(out.unwrap().stdout).unwrap()
    }

    #[test]
    fn a_script_survives_every_kind_of_login_shell() {
        let expected = "a\\\\b|it's|!x|/h|\\|done";
        assert_eq!(through("sh", &LoginShell::Posix.line("", ODD)), expected);
        for shell in ["sh", "bash", "tcsh", "fish"] {
            if std::process::Command::new(shell)
                .arg("--version")
                .output()
                .is_ok()
            {
                assert_eq!(
                    through(shell, &LoginShell::Other.line("", ODD)),
                    expected,
                    "{shell}"
                );
            }
        }
    }

    #[test]
    fn unknown_shells_are_taken_for_odd_ones() {
        assert_eq!(LoginShell::of("/bin/bash"), LoginShell::Posix);
        assert_eq!(LoginShell::of("/usr/bin/fish"), LoginShell::Other);
        assert_eq!(LoginShell::of(""), LoginShell::Other);
    }

    #[test]
    fn scripts_find_system_programs_and_speak_c() {
        let out = std::process::Command::new("/bin/sh")
            .args(["-c", &script("printf '%s %s' \"$LC_ALL\" \"$PATH\"")])
            .env_clear()
            .env("PATH", "/opt/bin")
            .env("LANG", "de_DE.UTF-8")
            .output()
            .unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(
            said.starts_with("C /opt/bin:") && said.contains("/usr/sbin"),
            "{said}"
        );
    }

    #[test]
    fn no_script_finds_a_proxy() {
        const LOOK: &str = "cat; env | grep -i proxy";
        for shell in ["sh", "bash"] {
            let mut child = std::process::Command::new(shell)
                .args(["-c", &script(LOOK)])
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .envs(
                    [
                        "http_proxy",
                        "HTTPS_PROXY",
                        "No_Proxy",
                        "all_proxy",
                        "FTP_PROXY",
                    ]
                    .map(|name| (name, "http://p:1")),
                )
                // Neither a name that no shell knows nor a line of a value may do harm.
                .env("a-b_proxy", "x")
                .env(
                    "lines",
                    "x\n$(exit 1)_proxy=1\n;exit 1;x_proxy=1\nPATH_proxy=",
                )
                .env("proxy_of_mine", "stays")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let input = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut &input, b"input is left alone\n").unwrap();
            drop(input);
            let out = child.wait_with_output().unwrap();
            let (said, errors) = (String::from_utf8(out.stdout).unwrap(), out.stderr);
            let mut lines: Vec<&str> = said
                .lines()
                .filter(|line| !line.contains("_proxy="))
                .collect();
            lines.sort_unstable();
            assert_eq!(
                lines,
                ["input is left alone", "proxy_of_mine=stays"],
                "{shell}"
            );
            assert!(!said.contains("http://p:1"), "{shell}: {said}");
            assert!(errors.is_empty(), "{}", String::from_utf8_lossy(&errors));
        }
    }
}
