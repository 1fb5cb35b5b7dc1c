use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use crate::args::{ActArgs, DrainArgs};

/// Take hosts out of a living cluster, and leave them as they were before
///
/// Pods go elsewhere, as their disruption budgets allow; a member of etcd is taken out of it while those who stay have a
/// majority; the cluster forgets the node; the host gets back what it had; all others forget it. The config need not be
/// changed before: kubexm works from the config last applied without these hosts, and says what to take out of the file.
/// Running it again goes on where it was interrupted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm delete node node4 -f config.yaml --dry-run       show what would be done, and do nothing
  kubexm delete node node4 node5 -f config.yaml
  kubexm delete node node2 -f config.yaml --dead          it is lost: nothing is sent there
  kubexm delete node node5 -f config.yaml --role etcd     it stays, and is no member of etcd any more
  kubexm delete node node4 -f config.yaml --drain-timeout 15m --delete-local-data")]
pub struct DeleteNodeArgs {
    /// Names of hosts
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Take only this role from the hosts, which stay; repeat for more
    #[arg(long, value_enum, value_name = "ROLE")]
    pub role: Vec<RoleArg>,
    #[command(flatten)]
    pub fate: FateArgs,
    #[command(flatten)]
    pub drain: DrainArgs,
    /// Do not ask for the names
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub act: ActArgs,
}

/// What becomes of a host that goes.
#[derive(Debug, Args)]
pub struct FateArgs {
    /// The hosts are lost, or off for good: nothing is sent there, and nothing is taken off them
    #[arg(long, conflicts_with_all = ["role", "keep_data", "delete_local_data"])]
    pub dead: bool,
    /// Leave data on the hosts: etcd's store, images
    #[arg(long)]
    pub keep_data: bool,
}

/// What can be taken from a host that stays. The others go by a change of the config and install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    Etcd,
    Master,
    Worker,
}
