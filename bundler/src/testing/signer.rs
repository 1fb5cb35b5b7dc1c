//! A key of gpg's, in a home of its own: distributions sign with gpg.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

pub(crate) struct Signer {
    home: TempDir,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let signer = Self {
            // The socket of gpg's agent must have a short path.
            home: tempfile::tempdir_in("/tmp").unwrap(),
        };
        let key = ["Archive <archive@example>", "ed25519", "cert,sign", "never"];
        signer.gpg(&[&["--quick-gen-key"], key.as_slice()].concat(), b"");
        signer
    }

    /// The public key, in armor.
    pub(crate) fn key(&self) -> String {
        String::from_utf8(self.gpg(&["--armor", "--export"], b"")).unwrap()
    }

    pub(crate) fn clear_sign(&self, text: &[u8]) -> Vec<u8> {
        self.gpg(&["--clear-sign"], text)
    }

    pub(crate) fn detach_sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.gpg(&["--armor", "--detach-sign"], bytes)
    }

    pub(crate) fn sign_rpm(&self, file: &Path) {
        let path = format!("_gpg_path {}", self.home.path().display());
        run(Command::new("rpmsign")
            .arg("--addsign")
            .args(["--define", "_gpg_name Archive"])
            .args(["--define", "__gpg /usr/bin/gpg"])
            .args(["--define", &path])
            .arg(file));
    }

    fn gpg(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let given = self.home.path().join("input");
        std::fs::write(&given, input).unwrap();
        run(Command::new("gpg")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--batch", "--quiet", "--no-tty"])
            .args(["--pinentry-mode", "loopback", "--passphrase", ""])
            .args(args)
            .stdin(std::fs::File::open(&given).unwrap()))
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.arg("--homedir").arg(self.home.path());
        // An agent that is left ends with its home.
        drop(end.args(["--kill", "all"]).output());
    }
}

/// Runs to success, and gives what was printed.
pub(super) fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/setup.sh installs the tools"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output.stdout
}
