use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use reqwest::{Certificate, ClientBuilder};

use super::RegistryError;
use super::error::innermost;
use crate::RemoveLocal;
use crate::local_file::{self, blocking};

/// By what the operator's machine knows a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Authorities in this file, and no others.
    File(Utf8PathBuf),
    /// Those of the `*.crt` in this folder.
    Folder(Utf8PathBuf),
    /// Whatever this machine's system trusts.
    System,
    /// Its certificate is not looked at.
    Unchecked,
}

impl Trust {
    /// What of it lies in files.
    pub(crate) async fn read(&self) -> Result<Option<Vec<u8>>, StepError> {
        match self.clone() {
            Self::File(path) => {
                let at = path.clone();
                let read = blocking(move || local_file::read(&at)).await?;
                let missing =
                    || StepError::new(format!("there is no certificate authority in {path}"));
                read.ok_or_else(missing).map(Some)
            }
            Self::Folder(folder) => blocking(move || gathered(&folder)).await.map(Some),
            Self::System | Self::Unchecked => Ok(None),
        }
    }

    pub(crate) fn configure(
        &self,
        client: ClientBuilder,
        roots: Option<&[u8]>,
        unusable: &dyn Fn(String) -> RegistryError,
    ) -> Result<ClientBuilder, RegistryError> {
        match (self, roots) {
            (Self::Unchecked, _) => Ok(client.tls_danger_accept_invalid_certs(true)),
            (Self::File(from) | Self::Folder(from), Some(roots)) => {
                let roots = Certificate::from_pem_bundle(roots)
                    .map_err(|error| unusable(format!("{from}: {}", innermost(&error))))?;
                Ok(client.tls_certs_only(roots))
            }
            _ => Ok(client),
        }
    }
}

/// Every `*.crt` of a folder, in the order of their names.
fn gathered(folder: &Utf8Path) -> Result<Vec<u8>, StepError> {
    let unreadable = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => {
                "put the registry's authority there as a *.crt, or correct certsPath in registry.auths"
            }
            _ => "certsPath in registry.auths must be a folder that whoever runs kubexm can read",
        };
        StepError::new(format!("cannot read {folder}: {error}")).with_hint(hint)
    };
    let mut paths: Vec<Utf8PathBuf> = folder
        .read_dir_utf8()
        .map_err(unreadable)?
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| path.extension() == Some("crt"))
        .collect();
    paths.sort_unstable();
    if paths.is_empty() {
        return Err(
            StepError::new(format!("there is no *.crt in {folder}")).with_hint(
                "put the registry's authority there, or take certsPath out of registry.auths",
            ),
        );
    }
    let mut all = Vec::new();
    for path in paths {
        all.extend(fs::read(&path).map_err(unreadable)?);
        if !all.ends_with(b"\n") {
            all.push(b'\n');
        }
    }
    Ok(all)
}

/// Keeps the authorities of a registry in the tree, for nodes and for whoever has the tree and not the folder. Harmless twice: it is a
/// copy.
pub struct GatherTrust {
    pub folder: Utf8PathBuf,
    pub to: Utf8PathBuf,
}

impl GatherTrust {
    /// The folder may be on the machine of somebody else who has installed before.
    fn wanted(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), StepError> {
        let kept = local_file::read(&self.to)?;
        match (gathered(&self.folder), kept) {
            (Ok(wanted), kept) => Ok((wanted, kept)),
            (Err(_), Some(kept)) if !self.folder.exists() => Ok((kept.clone(), Some(kept))),
            (Err(error), _) => Err(error),
        }
    }
}

#[async_trait]
impl Step for GatherTrust {
    fn id(&self) -> String {
        format!("gather {}", self.to)
    }

    fn describe(&self) -> String {
        format!("keep the authorities of {}", self.folder)
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match self.wanted()? {
            (wanted, Some(kept)) if wanted == kept => State::Satisfied,
            (_, Some(_)) => State::needed("they are others now"),
            (_, None) => State::needed("they are not kept yet"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let (wanted, _) = self.wanted()?;
        Ok(local_file::write(&self.to, 0o644, &wanted)?)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove {}", self.to);
        (data == Data::Purge).then(|| RemoveLocal::step(title, [self.to.clone()]))
    }
}
