use camino::Utf8PathBuf;
use clap::Args;

use super::{AccessArgs, work_dir};

/// Make a lost work directory again, from the hosts of a cluster that lives
///
/// Fetches what install has brought to the hosts: the authorities with their keys as far as hosts have them, certificates,
/// kubeconfigs, the registry's login and the config last applied, and tells what no host has. Nothing on a host is changed, and
/// nothing that is there already is overwritten. Then install goes on as if nothing had been lost.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm adopt -f config.yaml
  kubexm adopt -f config.yaml --work-dir /srv/site --accept-new-host-keys
  kubexm adopt -f config.yaml && kubexm install mycluster.tar.zst -f config.yaml --dry-run")]
pub struct AdoptArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that gets .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Show every step and whether it is needed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
}
