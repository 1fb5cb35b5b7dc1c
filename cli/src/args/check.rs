use camino::Utf8PathBuf;
use clap::Args;

use super::{AccessArgs, work_dir};

/// Prove that a cluster works, and change nothing
///
/// Asks the cluster and its hosts, all at once, for everything that must hold: nodes, system pods, etcd, certificates, the
/// pods' network, DNS, where images come from. Every failure is told. For the time of the check, two small pods run on each
/// node.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm check -f config.yaml
  kubexm check -f config.yaml --work-dir /srv/site
  kubexm check -f config.yaml --output json | jq -c 'select(.event == \"proof\")'")]
pub struct CheckArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// How many proofs at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
}
