//! How steps talk to a host's shell.

use engine::{Cx, StepError};
use host::{Command, Output};

/// The shell's function `replace FILE COMMAND...`, which writes a small file of the host anew.
pub(crate) const REPLACE: &str = include_str!("replace.sh");

/// Runs a command as root; a non-zero status is an error that says what was tried and the command's last words.
pub(crate) async fn must(cx: &Cx, trying: &str, command: Command) -> Result<Output, StepError> {
    let output = cx.host.run(&command.as_root()).await?;
    if output.ok() {
        Ok(output)
    } else {
        Err(refused(trying, &output))
    }
}

/// Runs a command as root and takes its status for an answer.
pub(crate) async fn ask(cx: &Cx, command: Command) -> Result<Output, StepError> {
    Ok(cx.host.run(&command.as_root()).await?)
}

/// Has a shell read a script without running it.
#[cfg(test)]
pub(crate) fn reads(script: &str) {
    let output = std::process::Command::new("sh")
        .args(["-n", "-c", script])
        .output()
        .expect("every machine has a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{script}");
}

pub(crate) fn refused(trying: &str, output: &Output) -> StepError {
    let words = output.last_words();
    let said = if words.is_empty() {
        format!("status {}", output.status)
    } else {
        words
    };
    StepError::new(format!("cannot {trying}: {said}"))
}

/// Directories for a `PATH` whose first holds a `sync` that tells what it is asked to keep, and what `$FILE` holds by then.
#[cfg(test)]
pub(crate) fn path_with_telling_sync(dir: &std::path::Path) -> String {
    use std::os::unix::fs::PermissionsExt;

    let bin = dir.join("bin");
    std::fs::create_dir(&bin).expect("a directory of the test's own");
    let tell = "#!/bin/sh\nname=${2##*/}\n[ ! -d \"$2\" ] || name=directory\n\
                echo \"$name; file: $(cat \"$FILE\" 2>&1)\" >> \"$TOLD\"\n";
    std::fs::write(bin.join("sync"), tell).expect("a file of the test's own");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("sync"), executable).expect("a file of the test's own");
    format!("{}:/usr/bin:/bin", bin.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_is_replaced_by_what_the_disk_has_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "old").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", at("link")).unwrap();
        fs::write(at("file.kubexm-new"), "cut short").unwrap();
        let path = path_with_telling_sync(dir.path());
        let run = |script: &str| {
            let status = Command::new("sh")
                .args(["-euc", &format!("{REPLACE}{script}")])
                .current_dir(dir.path())
                .env("PATH", &path)
                .env("FILE", at("file"))
                .env("TOLD", at("told"))
                .status();
            status.unwrap().success()
        };
        assert!(!run("fails() { printf ne; false; }; replace file fails"));
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "old");
        assert!(!at("file.kubexm-new").exists() && !at("told").exists());

        assert!(run("replace \"$PWD/link\" printf new"));
        assert_eq!(fs::read_to_string(at("file")).unwrap(), "new");
        let mode = fs::metadata(at("file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert!(at("link").is_symlink());
        insta::assert_snapshot!(fs::read_to_string(at("told")).unwrap(), @r"
        file.kubexm-new; file: old
        directory; file: new
        ");
    }
}
