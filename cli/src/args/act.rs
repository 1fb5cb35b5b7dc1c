use camino::Utf8PathBuf;
use clap::Args;

use super::{AccessArgs, LeaseArgs, work_dir};

/// How something is done to a cluster whose work directory is there.
#[derive(Debug, Args)]
pub struct ActArgs {
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
