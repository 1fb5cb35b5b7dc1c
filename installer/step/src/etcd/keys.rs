//! What a restore on other machines needs beside a snapshot: authorities, keys and what the store is encrypted with. It leaves
//! the work directory encrypted, for whoever is named, and never otherwise.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use secrecy::zeroize::Zeroizing;

use crate::local_file::{self, blocking};

/// To whom keys are encrypted; by what `age` or SSH calls a public key.
#[derive(Clone)]
pub struct Recipients(Vec<Arc<dyn age::Recipient + Send + Sync>>);

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} recipients", self.0.len())
    }
}

impl Recipients {
    /// Each must be one that can be encrypted to. Nothing where nobody is named.
    pub fn of(texts: &[String]) -> Result<Option<Self>, StepError> {
        let each = texts.iter().map(|text| recipient(text.trim()));
        let all = each.collect::<Result<Vec<_>, _>>()?;
        Ok((!all.is_empty()).then_some(Self(all)))
    }

    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let each = self.0.iter().map(|one| one.as_ref() as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(each).map_err(io::Error::other)?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(plain)?;
        writer.finish()?;
        Ok(sealed)
    }
}

fn recipient(text: &str) -> Result<Arc<dyn age::Recipient + Send + Sync>, StepError> {
    if text.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
        return Err(StepError::new(
            "a recipient is a private key: it is not repeated here",
        )
        .with_hint("name the public key, which begins with age1 or ssh-; age-keygen -y or ssh-keygen -y shows it"));
    }
    if text.starts_with("age1")
        && let Ok(known) = age::x25519::Recipient::from_str(text)
    {
        return Ok(Arc::new(known));
    }
    if text.starts_with("ssh-")
        && let Ok(known) = age::ssh::Recipient::from_str(text)
    {
        return Ok(Arc::new(known));
    }
    Err(StepError::new(format!(
        "'{text}' is nobody whom keys can be encrypted to"
    ))
    .with_hint(
        "give an age recipient (age1...), or the public key of SSH, ssh-ed25519 or ssh-rsa of 2048 bits or more, as one argument",
    ))
}

/// Reads a file of a master that kubexm did not make, for the keys of a backup.
pub struct ReadSecret {
    pub path: Utf8PathBuf,
    pub read: Slot<HostSecret>,
}

/// A file with a secret, and where it lies on each master.
pub struct HostSecret {
    path: Utf8PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

/// Writes what lies in the work directory's `certs/`, and what was read from a master, into one encrypted file.
pub struct SealKeys {
    pub certs: Utf8PathBuf,
    /// Beside them, from the work directory: its path there, and how the file is called.
    pub beside: Vec<(Utf8PathBuf, &'static str)>,
    pub secrets: Vec<Slot<HostSecret>>,
    pub to: Utf8PathBuf,
    pub recipients: Recipients,
}

/// Without these nothing of a cluster comes back.
const NEEDED: [&str; 3] = ["etcd/ca.key", "kubernetes/ca.key", "kubernetes/sa.key"];

impl SealKeys {
    /// A tar, to be unpacked in `.kubexm/<cluster>/`.
    fn packed(&self) -> Result<Zeroizing<Vec<u8>>, StepError> {
        let missing = NEEDED.iter().find(|name| !self.certs.join(name).exists());
        if let Some(name) = missing {
            return Err(StepError::new(format!(
                "{} is not there: the keys of this cluster are not in this work directory",
                self.certs.join(name)
            ))
            .with_hint(
                "bring them back first: kubexm adopt -f CONFIG; the snapshot itself is whole",
            ));
        }
        let mut tar = tar::Builder::new(Vec::new());
        let unreadable = |error: io::Error| {
            StepError::new(format!("cannot pack the keys in {}: {error}", self.certs))
        };
        for path in files_below(&self.certs).map_err(unreadable)? {
            let name = path.strip_prefix(&self.certs).unwrap_or(&path);
            let bytes = Zeroizing::new(std::fs::read(&path).map_err(unreadable)?);
            append(&mut tar, &Utf8Path::new("certs").join(name), &bytes).map_err(unreadable)?;
        }
        for (path, name) in &self.beside {
            if let Some(bytes) = local_file::read(path)? {
                append(&mut tar, Utf8Path::new(name), &bytes).map_err(unreadable)?;
            }
        }
        for secret in self.secrets.iter().filter_map(Slot::get) {
            let inside = secret.path.as_str().trim_start_matches('/');
            let name = Utf8Path::new("from-masters").join(inside);
            append(&mut tar, &name, &secret.bytes).map_err(unreadable)?;
        }
        tar.into_inner().map(Zeroizing::new).map_err(unreadable)
    }
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    tar.append_data(&mut header, name.as_std_path(), bytes)
}

fn files_below(dir: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    for entry in dir.read_dir_utf8()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(files_below(entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path().to_owned());
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[async_trait]
impl Step for ReadSecret {
    fn id(&self) -> String {
        format!("read {}", self.path)
    }

    fn describe(&self) -> String {
        format!("read {} of a master", self.path)
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.read.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(bytes) = cx.host.read(&self.path).await? else {
            return Err(StepError::new(format!(
                "{} is not on this master, and the apiserver's arguments name it",
                self.path
            ))
            .with_hint(
                "without it no Secret of this cluster can be read after a restore: find it first",
            ));
        };
        self.read.fill(HostSecret {
            path: self.path.clone(),
            bytes: Zeroizing::new(bytes),
        });
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for SealKeys {
    fn id(&self) -> String {
        "seal the keys".to_owned()
    }

    fn describe(&self) -> String {
        format!("write the cluster's keys, encrypted, to {}", self.to)
    }

    fn inputs(&self) -> String {
        format!("{} {:?}", self.to, self.recipients)
    }

    fn takes(&self) -> Vec<SlotId> {
        self.secrets.iter().map(Slot::id).collect()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match std::fs::metadata(&self.to) {
            Ok(_) => State::Satisfied,
            Err(_) => State::needed("is not there yet"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let plain = self.packed()?;
        let (recipients, to) = (self.recipients.clone(), self.to.clone());
        blocking(move || {
            let sealed = recipients
                .seal(&plain)
                .map_err(|error| StepError::new(format!("cannot encrypt the keys: {error}")))?;
            local_file::write(&to, 0o600, &sealed)?;
            Ok::<_, StepError>(())
        })
        .await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    /// As `ssh-keygen` makes it.
    fn ssh_key(dir: &Utf8Path) -> (String, String) {
        let path = dir.join("id");
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", path.as_str()])
            .status();
        assert!(made.unwrap().success());
        let read = |path: String| std::fs::read_to_string(path).unwrap();
        (read(path.to_string()), read(format!("{path}.pub")))
    }

    fn cx() -> Cx {
        let host = FakeHost::new("m1").with_file(
            "/etc/enc.yaml",
            "kind: EncryptionConfiguration\n",
            0o600,
        );
        Cx::new(Arc::new(host), Progress::unseen())
    }

    fn opened(path: &Utf8Path, identity: &impl age::Identity) -> Vec<(String, String)> {
        let sealed = std::fs::read(path).unwrap();
        let plain = age::decrypt(identity, &sealed).unwrap();
        let mut tar = tar::Archive::new(plain.as_slice());
        let entries = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        });
        entries.collect()
    }

    #[tokio::test]
    async fn whoever_is_named_can_read_the_keys_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        for name in ["etcd/ca.key", "kubernetes/ca.key"] {
            local_file::write(&dir.join("certs").join(name), 0o600, b"key of an authority")
                .unwrap();
        }
        let identity = age::x25519::Identity::generate();
        let (ssh_key, ssh) = ssh_key(dir);
        let texts = [identity.to_public().to_string(), ssh];
        let read = Slot::new("the encryption config");
        let seal = SealKeys {
            certs: dir.join("certs"),
            beside: vec![(dir.join("none.yaml"), "config.yaml")],
            secrets: vec![read.clone()],
            to: dir.join("etcd.db.keys.age"),
            recipients: Recipients::of(&texts).unwrap().unwrap(),
        };
        let path = "/etc/enc.yaml".into();
        ReadSecret { path, read }.check(&cx()).await.unwrap();
        let refused = seal.apply(&cx()).await.unwrap_err();
        assert!(
            refused.to_string().contains("sa.key is not there"),
            "{refused}"
        );
        assert!(refused.hint().unwrap().contains("kubexm adopt"));
        assert!(!seal.to.exists());

        local_file::write(&dir.join("certs/kubernetes/sa.key"), 0o600, b"sa").unwrap();
        seal.apply(&cx()).await.unwrap();
        let sealed = std::fs::read(&seal.to).unwrap();
        assert!(!sealed.windows(9).any(|piece| piece == b"authority"));
        let names = [
            "certs/etcd/ca.key",
            "certs/kubernetes/ca.key",
            "certs/kubernetes/sa.key",
            "from-masters/etc/enc.yaml",
        ];
        let ssh = age::ssh::Identity::from_buffer(ssh_key.as_bytes(), None).unwrap();
        for files in [opened(&seal.to, &identity), opened(&seal.to, &ssh)] {
            let found: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(found, names);
            assert_eq!(files[3].1, "kind: EncryptionConfiguration\n");
        }
        let other = age::x25519::Identity::generate();
        assert!(age::decrypt(&other, &sealed).is_err());
    }

    #[test]
    fn who_is_nobody_is_told_and_a_private_key_is_not_repeated() {
        let refused = |text: &str| Recipients::of(&[text.to_owned()]).unwrap_err().to_string();
        insta::assert_snapshot!(refused("alice"), @"'alice' is nobody whom keys can be encrypted to");
        insta::assert_snapshot!(refused("age1abc"), @"'age1abc' is nobody whom keys can be encrypted to");
        insta::assert_snapshot!(refused("AGE-SECRET-KEY-1ABC"), @"a recipient is a private key: it is not repeated here");
        assert!(Recipients::of(&[]).unwrap().is_none());
    }

    #[tokio::test]
    async fn an_encryption_config_that_is_not_there_is_no_small_thing() {
        let read = Slot::new("the encryption config");
        let path = "/etc/other.yaml".into();
        let error = ReadSecret { path, read }.check(&cx()).await.unwrap_err();
        insta::assert_snapshot!(error, @"/etc/other.yaml is not on this master, and the apiserver's arguments name it");
    }
}
