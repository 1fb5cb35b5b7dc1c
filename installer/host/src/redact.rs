use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::{HostError, quote};

/// Takes secrets out of text before it leaves the host layer. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    // Longest first: a secret that is part of another must not tear it apart.
    secrets: Arc<[SecretString]>,
}

impl Redactor {
    /// What stands in the place of a secret.
    pub const MASK: &str = "[secret]";

    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut all: Vec<SecretString> = Vec::new();
        for secret in secrets {
            let text = secret.expose_secret().trim();
            if text.is_empty() {
                continue;
            }
            // As a shell command holds it.
            let quoted = quote(text);
            if quoted != text {
                all.push(SecretString::from(quoted.trim_matches('\'').to_owned()));
            }
            all.push(SecretString::from(text.to_owned()));
        }
        all.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self {
            secrets: all.into(),
        }
    }

    /// This one's secrets and more.
    #[must_use]
    pub fn and(&self, more: impl IntoIterator<Item = SecretString>) -> Self {
        Self::new(self.secrets.iter().cloned().chain(more))
    }

    /// The text with every secret masked.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter() {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), Self::MASK);
            }
        }
        text
    }

    /// The error with every secret masked.
    #[must_use]
    pub fn error(&self, mut error: HostError) -> HostError {
        for text in error.texts() {
            *text = self.text(text);
        }
        error
    }

    /// Masks what a command printed; bytes that hold no secret stay as they are.
    pub(crate) fn bytes(&self, bytes: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(bytes);
        if self
            .secrets
            .iter()
            .any(|secret| text.contains(secret.expose_secret()))
        {
            *bytes = self.text(&text).into_bytes();
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({})", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets.iter().map(|secret| SecretString::from(*secret)))
    }

    #[test]
    fn secrets_are_masked_raw_and_as_the_shell_holds_them() {
        let redactor = redactor(&["it's me", "it", ""]);
        assert_eq!(redactor.text("tried it's me twice"), "tried [secret] twice");
        assert_eq!(redactor.text(&quote("it's me")), "'[secret]'");
        assert_eq!(redactor.text("plain"), "plain");
    }

    #[test]
    fn a_secret_within_another_does_not_uncover_it() {
        let redactor = redactor(&["pass", "password1"]);
        assert_eq!(redactor.text("password1 pass"), "[secret] [secret]");
    }

    #[test]
    fn output_that_holds_no_secret_is_left_alone() {
        let mut bytes = vec![0xff, 0xfe, b'x'];
        redactor(&["hunter2"]).bytes(&mut bytes);
        assert_eq!(bytes, [0xff, 0xfe, b'x']);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", redactor(&["hunter2"])).contains("hunter2"));
    }
}
