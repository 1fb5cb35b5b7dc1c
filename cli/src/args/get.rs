use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{AccessArgs, work_dir};

/// Tell what a cluster is made of
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm get cluster -f config.yaml
  kubexm get nodes -f config.yaml
  kubexm get hosts -f config.yaml
  kubexm get images -f config.yaml --output json
  kubexm get inventory -f config.yaml > inventory.json
  kubexm get journeys")]
pub struct GetArgs {
    #[command(subcommand)]
    pub command: GetCommand,
}

/// The verbs of `kubexm get`.
#[derive(Debug, Subcommand)]
pub enum GetCommand {
    /// Its versions, endpoint, hosts and tree, without asking anybody
    #[command(after_help = "\
Examples:
  kubexm get cluster -f config.yaml
  kubexm get cluster -f config.yaml --output json")]
    Cluster(TreeArgs),
    /// Its nodes, as the cluster itself has them
    #[command(after_help = "\
Examples:
  kubexm get nodes -f config.yaml
  kubexm get nodes -f config.yaml --output json")]
    Nodes(NodesArgs),
    /// What each host is and carries: system, kernel, components with their versions, and since when
    #[command(after_help = "\
Examples:
  kubexm get hosts -f config.yaml
  kubexm get hosts -f config.yaml --output json | jq -r '.[] | [.name, .facts.kernel] | @tsv'")]
    Hosts(HostsArgs),
    /// The images that its bundle brought, and who wants them
    #[command(after_help = "\
Examples:
  kubexm get images -f config.yaml
  kubexm get images -f config.yaml --output json | jq -r '.[].reference'")]
    Images(TreeArgs),
    /// What lies in its tree here, each file read anew: what `kubexm bundle --since` makes a delta for
    #[command(after_help = "\
Examples:
  kubexm get inventory -f config.yaml > inventory.json
  kubexm bundle -f config.yaml --since inventory.json     (where bundles are made)")]
    Inventory(TreeArgs),
    /// What has come on media: when, which bundle, and who had signed its list
    #[command(after_help = "\
Examples:
  kubexm get journeys
  kubexm get journeys --work-dir /srv/sites --output json | jq -r '.[] | [.cluster, .arrived, (.signed_by // [] | map(.name) | join(\",\"))] | @tsv'")]
    Journeys(JourneysArgs),
}

/// Names the clusters whose journeys are told.
#[derive(Debug, Args)]
pub struct JourneysArgs {
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
}

/// Names a cluster that has its tree here.
#[derive(Debug, Args)]
pub struct TreeArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
}

/// Names a cluster that is asked.
#[derive(Debug, Args)]
pub struct NodesArgs {
    #[command(flatten)]
    pub tree: TreeArgs,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Names hosts that are asked.
#[derive(Debug, Args)]
pub struct HostsArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/; it need not be there
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    #[command(flatten)]
    pub access: AccessArgs,
}
