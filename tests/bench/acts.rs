//! What is measured of kubexm: each act as the program does it, in a process of its own.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow};
use artifact::{Bundle, Cancel, Contents, Packing, Tree, pack};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Subcommand;
use engine::{Cx, Slot, State, Step};
use event::Progress;
use futures::future::try_join_all;
use host::local::LocalHost;
use host::ssh::{Auth, HostKeys, Options, SshHost, Target, UnknownHost};
use host::{FileAttrs, Host, Redactor, Source};
use secrecy::SecretString;
use step::{Keeper, PrepareRegistryCredentials, PushImages, SiteNames, SiteRegistry, Trust};
use tokio::runtime::Runtime;

#[derive(Subcommand)]
pub enum Act {
    Pack {
        tree: Utf8PathBuf,
        contents: Utf8PathBuf,
        output: Utf8PathBuf,
    },
    Unpack {
        bundle: Utf8PathBuf,
        tree: Utf8PathBuf,
    },
    Push {
        url: String,
        certs: Utf8PathBuf,
        tree: Utf8PathBuf,
        contents: Utf8PathBuf,
    },
    Upload {
        file: Utf8PathBuf,
        login: Utf8PathBuf,
        known_hosts: Utf8PathBuf,
        /// `PORT=PATH` for each host.
        #[arg(required = true)]
        to: Vec<String>,
    },
}

impl Act {
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Pack {
                tree,
                contents,
                output,
            } => pack_tree(tree, contents, output),
            Self::Unpack { bundle, tree } => unpack(bundle, tree),
            Self::Push {
                url,
                certs,
                tree,
                contents,
            } => push(url, certs, tree, contents),
            Self::Upload {
                file,
                login,
                known_hosts,
                to,
            } => upload(file, login, known_hosts, to),
        }
    }
}

fn threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn read_contents(path: &Utf8Path) -> Result<Contents> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn pack_tree(tree: &Utf8Path, contents: &Utf8Path, output: &Utf8Path) -> Result<()> {
    pack(&Packing {
        tree: &Tree::at(tree),
        contents: &read_contents(contents)?,
        output,
        since: None,
        signer: None,
        jobs: threads(),
        progress: &Progress::unseen(),
        cancel: &Cancel::default(),
    })?;
    Ok(())
}

fn unpack(bundle: &Utf8Path, tree: &Utf8Path) -> Result<()> {
    Bundle::open(bundle)?.unpack(
        &Tree::at(tree),
        threads(),
        &Progress::unseen(),
        &Cancel::default(),
    )?;
    Ok(())
}

fn push(url: &str, certs: &Utf8Path, tree: &Utf8Path, contents: &Utf8Path) -> Result<()> {
    let contents = read_contents(contents)?;
    Runtime::new()?.block_on(async {
        let push = pushing(url, certs, tree, &contents).await?;
        push.apply(&operator()).await?;
        Ok(())
    })
}

/// Whether the registry holds every image, by its digest.
pub fn is_pushed(
    url: &str,
    certs: &Utf8Path,
    tree: &Utf8Path,
    contents: &Contents,
) -> Result<State> {
    Runtime::new()?.block_on(async {
        let push = pushing(url, certs, tree, contents).await?;
        Ok(push.check(&operator()).await?)
    })
}

async fn pushing(
    url: &str,
    certs: &Utf8Path,
    tree: &Utf8Path,
    contents: &Contents,
) -> Result<PushImages> {
    let credentials = Slot::new("registry credentials");
    let prepare = PrepareRegistryCredentials::new(certs, None, credentials.clone());
    prepare.check(&operator()).await?;
    let site = SiteRegistry {
        url: url.to_owned(),
        at: Vec::new(),
        trust: Trust::File(certs.join("ca.crt")),
        names: SiteNames {
            authority: url.trim_start_matches("https://").to_owned(),
            namespace: None,
        },
        keeper: Keeper::Kubexm {
            data_dir: "/var/lib/registry".into(),
        },
    };
    let layout = Tree::at(tree).images();
    Ok(PushImages::new(
        site,
        credentials,
        layout,
        contents.images.clone(),
        Slot::new("the images in the registry"),
    ))
}

/// The machine that acts.
pub fn operator() -> Cx {
    Cx::new(
        Arc::new(LocalHost::new("operator", Redactor::default())),
        Progress::unseen(),
    )
}

fn upload(file: &Utf8Path, login: &Utf8Path, known_hosts: &Utf8Path, to: &[String]) -> Result<()> {
    let login = fs::read_to_string(login)?;
    let uploads = to.iter().map(async |to| {
        let (port, path) = to
            .split_once('=')
            .ok_or_else(|| anyhow!("{to} is not PORT=PATH"))?;
        let target = Target {
            name: format!("node{port}"),
            address: "127.0.0.1".to_owned(),
            port: port.parse().context("the port")?,
            user: "root".to_owned(),
            auth: vec![Auth::Key {
                text: SecretString::from(login.clone()),
                passphrase: None,
                origin: "login".to_owned(),
            }],
            sudo_password: None,
            host_key: None,
            bastion: None,
        };
        let keys = HostKeys {
            known_hosts: vec![known_hosts.to_owned()],
            unknown: UnknownHost::Refuse,
        };
        let host = SshHost::new(target, keys, Options::default());
        let source = Source::File(file.to_owned());
        let attrs = FileAttrs::root(0o755);
        host.upload(&source, path.into(), &attrs, &Progress::unseen())
            .await?;
        anyhow::Ok(())
    });
    Runtime::new()?.block_on(try_join_all(uploads))?;
    Ok(())
}
