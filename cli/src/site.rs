//! Puts together what an installation works from: a bundle or an unpacked tree, and the site's config.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io};

use artifact::{Bundle, BundleError, Cancel, Contents, Sha256, Tree, WorkDir};
use camino::Utf8Path;
use cluster::{Cluster, ImageHome, NodeLogin, Secret};
use pipeline::{Data, NodeLogins, RegistryCredentials, RuntimeChange, Site};
use secrecy::SecretString;

use crate::args::RuntimeArgs;
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
    let path = match bundle.contents().configs.as_slice() {
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
pub fn site(cluster: Cluster, contents: Contents, work_dir: &Utf8Path) -> Result<Site, Failure> {
    let tree = WorkDir::new(work_dir).tree(cluster.name());
    let login = registry_login(&cluster)?;
    let nodes = node_logins(&cluster)?;
    let hosts = image_hosts(&tree)?;
    let site = Site::new(cluster, contents, tree, login).with_node_logins(nodes);
    Ok(site.with_image_hosts(hosts))
}

/// The hosts of images that were pushed beside the bundle.
fn image_hosts(tree: &Tree) -> Result<BTreeSet<String>, Failure> {
    let path = tree.image_hosts();
    let read = |source| Failure::Read {
        path: path.clone(),
        source,
    };
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| read(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(read(error)),
    }
}

/// A site that has been installed, or at least unpacked, before: the config as it is given, and what the tree holds.
pub fn existing(
    config: &Utf8Path,
    work_dir: &Utf8Path,
    printer: &Printer,
) -> Result<Site, Failure> {
    let cluster = with_hosts(config, printer)?;
    let hint = "kubexm install unpacks a bundle; --work-dir names the directory that it was given";
    let (contents, _) = described(&cluster, work_dir, hint)?;
    site(cluster, contents, work_dir)
}

/// The site of a config alone, where nobody logs in to its registry. A tree need not be there.
pub fn bare(config: &Utf8Path, work_dir: &Utf8Path, printer: &Printer) -> Result<Site, Failure> {
    let cluster = with_hosts(config, printer)?;
    let contents = Contents::new(cluster.name(), env!("CARGO_PKG_VERSION"));
    let tree = WorkDir::new(work_dir).tree(cluster.name());
    Ok(Site::new(cluster, contents, tree, None))
}

/// The same with the registry's login.
pub fn lost(config: &Utf8Path, work_dir: &Utf8Path, printer: &Printer) -> Result<Site, Failure> {
    let cluster = with_hosts(config, printer)?;
    let contents = Contents::new(cluster.name(), env!("CARGO_PKG_VERSION"));
    site(cluster, contents, work_dir)
}

fn with_hosts(config: &Utf8Path, printer: &Printer) -> Result<Cluster, Failure> {
    let Config { name, parsed } = config::load(config, printer)?;
    parsed
        .cluster
        .require_hosts(name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    Ok(parsed.cluster)
}

/// The site as it was applied last, where that is known. One that cannot be read any more is told of, and is as none.
pub fn applied(site: &Site, printer: &Printer) -> Option<Site> {
    let path = site.tree.applied_config();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            printer.warning(format_args!("cannot read {path}: {error}"));
            return None;
        }
    };
    let Ok(parsed) = cluster::parse(path.as_str(), &text) else {
        printer.warning(format_args!(
            "{path} cannot be understood: what the config no longer asks for stays"
        ));
        return None;
    };
    let contents = match Contents::of_applied(&site.tree) {
        Ok((contents, _)) => contents,
        Err(_) => site.contents.clone(),
    };
    Some(Site::new(parsed.cluster, contents, site.tree.clone(), None))
}

/// The same for whoever goes by it.
pub fn must_be_applied(site: &Site, printer: &Printer) -> Result<Site, Failure> {
    applied(site, printer).ok_or_else(|| Failure::Usage {
        message: format!(
            "nobody knows which config {} was made of: there is no {}",
            site.cluster.name(),
            site.tree.applied_config()
        ),
        hint: Some(
            "run kubexm install to its end; kubexm adopt brings the note of a lost work directory"
                .to_owned(),
        ),
    })
}

/// Whether nodes may get another runtime, and what becomes of what the former has left.
pub fn may_replace(site: &mut Site, args: &RuntimeArgs) {
    if args.replace_runtime {
        site.runtime_change = RuntimeChange::Wanted;
    }
    if args.purge_old {
        site.former_data = Data::Purge;
    }
}

/// What is to be known before containers end with their runtime.
pub fn replaced(before: Option<&Site>, site: &Site) -> Option<(String, &'static str)> {
    let told = pipeline::told_of_runtime(before?, site)?;
    Some((told, "docs/runtimes.md tells what is safe"))
}

/// Tells of hosts that are out of the config, on which everything stays.
pub fn tell_left_out(before: Option<&Site>, now: &Site, printer: &Printer) {
    let left = before.map(|before| pipeline::left_out(&before.cluster, &now.cluster));
    for host in left.unwrap_or_default() {
        printer.warning(format_args!(
            "{host} is out of the config: what is on it stays as it is, and the others forget it; kubexm delete node {host} takes it out of the cluster as well"
        ));
    }
}

/// What the tree of a cluster holds, as an earlier run unpacked it.
pub fn unpacked(cluster: &Cluster, work_dir: &Utf8Path) -> Result<Contents, Failure> {
    let (contents, _) = described(cluster, work_dir, "name the bundle as well")?;
    Ok(contents)
}

/// The same with its digest; what to do where it is missing is for the caller to say.
pub fn described(
    cluster: &Cluster,
    work_dir: &Utf8Path,
    hint: &str,
) -> Result<(Contents, Sha256), Failure> {
    let tree = WorkDir::new(work_dir).tree(cluster.name());
    // What was applied last is as good, where a tree has been made again from its cluster.
    let found = Contents::of_tree(&tree).or_else(|error| match &error {
        BundleError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Contents::of_applied(&tree).map_err(|_| error)
        }
        _ => Err(error),
    });
    match found {
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
            path: tree.contents(),
            source,
        }),
        Err(other) => Err(other.into()),
    }
}

/// What is to be known before the tree of a cluster is given to this bundle.
pub fn doubts(
    bundle: &Contents,
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
    if let Ok((held, _)) = Contents::of_tree(&tree)
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

/// An authority that is about to give way to another: what an install brings goes with the move that it has come to.
pub fn rotation(site: &Site) -> Result<Option<(String, &'static str)>, Failure> {
    let rotation = pipeline::under_way(site)?;
    Ok(rotation.map(|rotation| {
        let told = pipeline::told_of_rotation(&rotation);
        (
            format!("a rotation of authorities is under way: {told}"),
            "it is left there; kubexm certs rotate-ca goes on with it",
        )
    }))
}

fn registry_login(cluster: &Cluster) -> Result<Option<RegistryCredentials>, Failure> {
    let Some(auth) = cluster.registry_auth() else {
        return Ok(None);
    };
    let login = credentials(auth.username.as_ref(), auth.password.as_ref())?;
    if login.is_none() && auth.username.is_some() && cluster.image_home() == ImageHome::External {
        return Err(Failure::Usage {
            message: format!(
                "registry.auths has a username for {}, the site's registry, and no password",
                cluster.registry_authority()
            ),
            hint: Some(
                "write password: {env: NAME} or {file: PATH}; a bundle carries no password, so give the config with -f"
                    .to_owned(),
            ),
        });
    }
    Ok(login)
}

/// As whom nodes ask registries.
fn node_logins(cluster: &Cluster) -> Result<NodeLogins, Failure> {
    let pull = cluster.registry_auth().and_then(|auth| auth.pull.as_ref());
    let site = match pull {
        Some(pull) => credentials(Some(&pull.username), pull.password.as_ref())?,
        None => None,
    };
    let mut others = BTreeMap::new();
    for source in cluster.image_sources() {
        for registry in source.registries {
            let NodeLogin::Named(name) = registry.login else {
                continue;
            };
            let Some(auth) = cluster.spec.registry.auths.get(&name) else {
                continue;
            };
            if let Some(login) = credentials(auth.username.as_ref(), auth.password.as_ref())? {
                others.insert(name, login);
            }
        }
    }
    Ok(NodeLogins { site, others })
}

fn credentials(
    username: Option<&String>,
    password: Option<&Secret>,
) -> Result<Option<RegistryCredentials>, Failure> {
    let (Some(username), Some(password)) = (username, password) else {
        return Ok(None);
    };
    let password: SecretString = password.resolve(&LocalSecrets)?;
    Ok(Some(RegistryCredentials {
        username: username.clone(),
        password,
    }))
}
