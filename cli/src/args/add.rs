use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{AccessArgs, LeaseArgs, work_dir};

/// Bring more hosts into a living cluster
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm add nodes -f config.yaml --dry-run
  kubexm add nodes -f config.yaml")]
pub struct AddArgs {
    #[command(subcommand)]
    pub command: AddCommand,
}

/// What can be added.
#[derive(Debug, Subcommand)]
pub enum AddCommand {
    Nodes(AddNodesArgs),
}

/// Set up the hosts and roles that the config has and the cluster has not
///
/// Like install, from the bundle that is unpacked already, and for nothing else: where the config has changed in more than
/// new hosts and new roles, that is named and nothing is done. The others learn what they must know of the new ones. Members of
/// etcd come one after the other, as learners first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm add nodes -f config.yaml --dry-run     show what would be done, and do nothing
  kubexm add nodes -f config.yaml")]
pub struct AddNodesArgs {
    /// The site's config, with the new hosts and their roles; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Show every step and whether it is needed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Let this node of the plan fail, to see what happens then
    #[arg(long, value_name = "NODE", hide = true)]
    pub inject_error: Option<String>,
}
