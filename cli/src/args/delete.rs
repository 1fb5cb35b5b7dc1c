mod node;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

pub use self::node::{DeleteNodeArgs, RoleArg};

use super::ActArgs;

/// Take away what was set up
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm delete cluster -f config.yaml --dry-run
  kubexm delete cluster -f config.yaml
  kubexm delete node node4 -f config.yaml")]
pub struct DeleteArgs {
    #[command(subcommand)]
    pub command: DeleteCommand,
}

/// What can be deleted.
#[derive(Debug, Subcommand)]
pub enum DeleteCommand {
    Cluster(DeleteClusterArgs),
    Node(DeleteNodeArgs),
}

/// Take a cluster off its hosts, and leave them as they were before
///
/// Goes backwards through everything that install did, and gives each host back what it had: files, services, users,
/// kernel parameters. Data stays, and certificates with it, so that installing again finds them; --purge removes them
/// too. Running it again goes on where it was interrupted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm delete cluster -f config.yaml --dry-run     show what would be done, and do nothing
  kubexm delete cluster -f config.yaml               keep etcd's store, images, certificates
  kubexm delete cluster -f config.yaml --purge       leave nothing
  kubexm delete cluster -f config.yaml --yes         do not ask, in scripts")]
pub struct DeleteClusterArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Remove data as well: etcd's store, the registry's and the nodes' images, certificates and keys
    #[arg(long)]
    pub purge: bool,
    /// Do not ask for the cluster's name
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub act: ActArgs,
}
