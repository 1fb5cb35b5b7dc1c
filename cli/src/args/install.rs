use camino::Utf8PathBuf;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pipeline::InstallStage;

use super::{AccessArgs, LeaseArgs, work_dir};

/// Install a cluster from a bundle
///
/// Verifies while unpacking, brings up the site's registry first, then everything else over SSH. Running it again does
/// only what is not done yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm install mycluster.tar.zst
  kubexm install mycluster.tar.zst -f site.yaml --dry-run
  kubexm install mycluster.tar.zst --until etcd
  kubexm install /media/disk1 -f site.yaml     (segments, one medium after the other)
  kubexm install mycluster.tar.zst -f site.yaml --replace-runtime
  kubexm install mycluster.tar.zst --accept-new-host-keys --signers allowed_signers")]
pub struct InstallArgs {
    /// The bundle: one file, or segments, also a directory with segments in it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<Utf8PathBuf>,
    /// The site's config, where it differs from the one bundled: hosts, secrets, any setting; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Insist on a signature by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
    /// Show every step and whether it is needed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
    /// The last stage; a later run without it goes on from there
    #[arg(long, value_name = "STAGE", value_parser = stage(), default_value = InstallStage::LAST.name(), hide_default_value = true)]
    pub until: InstallStage,
    #[command(flatten)]
    pub runtime: RuntimeArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Let this node of the plan fail, to see what happens then
    #[arg(long, value_name = "NODE", hide = true)]
    pub inject_error: Option<String>,
}

/// What may become of the nodes' runtime.
#[derive(Debug, Args)]
pub struct RuntimeArgs {
    /// Change nodes to the config's container runtime, one by one: pods go elsewhere first
    #[arg(long)]
    pub replace_runtime: bool,
    /// Remove the data of runtimes that nodes had before
    #[arg(long)]
    pub purge_old: bool,
}

/// A stage by its name.
pub(super) fn stage() -> impl TypedValueParser<Value = InstallStage> {
    PossibleValuesParser::new(InstallStage::all().map(InstallStage::name))
        .map(|name| InstallStage::named(&name).expect("clap has compared it with their names"))
}
