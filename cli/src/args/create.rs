use std::num::NonZeroU16;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use pipeline::InstallStage;

use super::install::stage;
use super::{AccessArgs, LeaseArgs, work_dir};

/// Set up a cluster where there is Internet
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm create cluster -f config.yaml")]
pub struct CreateArgs {
    #[command(subcommand)]
    pub command: CreateCommand,
}

/// What can be created.
#[derive(Debug, Subcommand)]
pub enum CreateCommand {
    Cluster(CreateClusterArgs),
}

/// Fetch everything a cluster needs and install it, in one go
///
/// For a machine that reaches both the Internet and the hosts: what bundle would pack is fetched into the tree, and
/// installed from there. The hosts themselves still take everything from the site alone. Running it again does only what
/// is not done yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm create cluster -f config.yaml
  kubexm create cluster -f config.yaml --mirror docker.io=https://mirror.example.org
  kubexm create cluster -f config.yaml --locked --until etcd")]
pub struct CreateClusterArgs {
    /// The cluster's config
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Fetch from URL what would come from HOST; '*=URL' fetches all else from URL/host/path. KUBEXM_MIRROR holds more of
    /// them
    #[arg(long, value_name = "HOST=URL")]
    pub mirror: Vec<String>,
    /// Trust packages that are signed with this public key as well, in armor
    #[arg(long, value_name = "FILE")]
    pub keyring: Vec<Utf8PathBuf>,
    /// Fail if anything differs from kubexm.lock
    #[arg(long)]
    pub locked: bool,
    /// How many downloads at once
    #[arg(long, value_name = "N")]
    pub downloads: Option<NonZeroU16>,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// The last stage; a later run without it goes on from there
    #[arg(long, value_name = "STAGE", value_parser = stage(), default_value = InstallStage::LAST.name(), hide_default_value = true)]
    pub until: InstallStage,
}
