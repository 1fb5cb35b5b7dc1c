use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{ActArgs, DrainArgs};

/// Start a part of a cluster anew, one host at a time
///
/// Services by the same turns and gates by which they change: etcd while its other members keep the majority, masters one after the
/// other, kubelets and container runtimes a few at a time, each well before the next. Pods stay where they are. With --reboot the
/// hosts themselves: pods go elsewhere, the host is restarted, and takes pods again as before when it is back and Ready.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm restart control-plane -f config.yaml
  kubexm restart etcd -f config.yaml --dry-run
  kubexm restart nodes -f config.yaml --reboot               for a new kernel
  kubexm restart nodes node4 node5 -f config.yaml --reboot   these alone")]
pub struct RestartArgs {
    /// What is started anew
    #[arg(value_enum, value_name = "PART")]
    pub part: PartArg,
    /// On these hosts alone
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Restart the hosts, not the services
    #[arg(long)]
    pub reboot: bool,
    #[command(flatten)]
    pub drain: DrainArgs,
    #[command(flatten)]
    pub act: ActArgs,
}

/// A part of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartArg {
    /// All of it
    Cluster,
    /// The members of etcd
    Etcd,
    /// Apiservers, controller managers, schedulers
    ControlPlane,
    /// Container runtimes, kubelets, kube-proxy
    Nodes,
}
