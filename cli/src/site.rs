//! Puts together what an installation works from: a bundle or an unpacked tree, and the site's config.

use std::io;

use artifact::{Bundle, BundleError, Cancel, Manifest, Sha256, WorkDir};
use camino::Utf8Path;
use cluster::Cluster;
use pipeline::{RegistryCredentials, Site};
use secrecy::SecretString;

use crate::config::{self, Config};
use crate::error::Failure;
use crate::input;
use crate::output::Printer;
use crate::secrets::LocalSecrets;

/// So many pointers of a config are named.
const SHOWN: usize = 3;

/// The config that a bundle carries.
pub fn bundled(bundle: &Bundle, printer: &Printer) -> Result<Config, Failure> {
    let without = |message: String| Failure::Usage {
        message,
        hint: Some("give the site's config with -f".to_owned()),
    };
    let path = match bundle.manifest().configs.as_slice() {
        [config] => &config.path,
        [] => return Err(without(format!("{} carries no config", bundle.path()))),
        several => {
            let clusters: Vec<&str> = several.iter().map(|c| c.cluster.as_str()).collect();
            return Err(without(format!(
                "{} carries the configs of several clusters: {}",
                bundle.path(),
                clusters.join(", ")
            )));
        }
    };
    let name = bundle.path().join(path);
    let text = bundle.read(path, input::LARGEST, &Cancel::default())?;
    let text = text.ok_or_else(|| without(format!("{} carries no config", bundle.path())))?;
    config::understand(name, text, printer)
}

/// Nobody has vouched for the config of this bundle: it may not choose what is read on this machine, nor to whom it is
/// sent.
pub fn require_no_pointers(config: &Config) -> Result<(), Failure> {
    let pointers = config.parsed.cluster.pointers();
    if pointers.is_empty() {
        return Ok(());
    }
    let list: Vec<&str> = pointers.iter().take(SHOWN).map(String::as_str).collect();
    let more = match pointers.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Failure::Usage {
        message: format!(
            "{} would have {}{more} read on this machine, and nobody has vouched for it",
            config.name,
            list.join(", ")
        ),
        hint: Some(
            "give the site's config with -f, or --signers FILE if the bundle is signed".to_owned(),
        ),
    })
}

/// The site of a config, once something has been unpacked for it or will be.
pub fn site(cluster: Cluster, manifest: Manifest, work_dir: &Utf8Path) -> Result<Site, Failure> {
    let tree = WorkDir::new(work_dir).tree(cluster.name());
    let login = registry_login(&cluster)?;
    Ok(Site::new(cluster, manifest, tree, login))
}

/// A site that has been installed, or at least unpacked, before: the config as it is given, and what the tree holds.
pub fn existing(
    config: &Utf8Path,
    work_dir: &Utf8Path,
    printer: &Printer,
) -> Result<Site, Failure> {
    let Config { name, parsed } = config::load(config, printer)?;
    let cluster = parsed.cluster;
    cluster
        .require_hosts(name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let hint = "kubexm install unpacks a bundle; --work-dir names the directory that it was given";
    let (manifest, _) = described(&cluster, work_dir, hint)?;
    site(cluster, manifest, work_dir)
}

/// What the tree of a cluster holds, as an earlier run unpacked it.
pub fn unpacked(cluster: &Cluster, work_dir: &Utf8Path) -> Result<Manifest, Failure> {
    let (manifest, _) = described(cluster, work_dir, "name the bundle as well")?;
    Ok(manifest)
}

/// The same with its digest; what to do where it is missing is for the caller to say.
pub fn described(
    cluster: &Cluster,
    work_dir: &Utf8Path,
    hint: &str,
) -> Result<(Manifest, Sha256), Failure> {
    let tree = WorkDir::new(work_dir).tree(cluster.name());
    match Manifest::of_tree(&tree) {
        Ok(described) => Ok(described),
        Err(BundleError::Open { path, source }) if source.kind() == io::ErrorKind::NotFound => {
            Err(Failure::Usage {
                message: format!(
                    "nothing has been unpacked for {}: there is no {path}",
                    cluster.name()
                ),
                hint: Some(hint.to_owned()),
            })
        }
        Err(BundleError::Open { path, source }) => Err(Failure::Read { path, source }),
        Err(BundleError::Contents { source, .. }) => Err(Failure::DamagedTree {
            path: tree.manifest(),
            source,
        }),
        Err(other) => Err(other.into()),
    }
}

/// What is to be known before the tree of a cluster is given to this bundle.
pub fn doubts(
    bundle: &Manifest,
    cluster: &str,
    work_dir: &Utf8Path,
) -> Vec<(String, &'static str)> {
    let mut doubts = Vec::new();
    if !bundle.is_for(cluster) {
        doubts.push((
            format!(
                "the bundle was made for cluster {}, and the config is that of {cluster}",
                bundle.cluster
            ),
            "stop here if that is not meant: the tree of this cluster will hold that bundle alone",
        ));
    }
    let tree = WorkDir::new(work_dir).tree(cluster);
    if let Ok((held, _)) = Manifest::of_tree(&tree)
        && held.cluster == bundle.cluster
        && held.serial > bundle.serial
    {
        doubts.push((
            format!(
                "the bundle is older than the one in the tree (serial {} after {})",
                bundle.serial, held.serial
            ),
            "stop here if that is not meant; a bundle that is signed may be an old one",
        ));
    }
    doubts
}

fn registry_login(cluster: &Cluster) -> Result<Option<RegistryCredentials>, Failure> {
    let Some(auth) = cluster.registry_auth() else {
        return Ok(None);
    };
    let (Some(username), Some(password)) = (&auth.username, &auth.password) else {
        return Ok(None);
    };
    let password: SecretString = password.resolve(&LocalSecrets)?;
    Ok(Some(RegistryCredentials {
        username: username.clone(),
        password,
    }))
}
