use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::ActArgs;

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
    #[command(flatten)]
    pub act: ActArgs,
}
