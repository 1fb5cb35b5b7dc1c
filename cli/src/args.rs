//! What can be said on the command line. One file per verb; the help text is its doc comments.

#![allow(
    clippy::doc_markdown,
    reason = "these comments are help texts, where backticks are noise"
)]

mod access;
mod act;
mod add;
mod adopt;
mod arrive;
mod bundle;
mod certs;
mod check;
mod config;
mod create;
mod delete;
mod depart;
mod diff;
mod drain;
mod etcd;
mod extract;
mod get;
mod images;
mod inspect;
mod install;
mod kubeconfig;
mod lease;
mod plan;
mod repair;
mod report;
mod restart;
mod serve;
mod upgrade;
mod verify;

use std::fs;

use camino::Utf8PathBuf;
use clap::{ColorChoice, Parser, Subcommand};
use clap_complete::Shell;

pub use access::AccessArgs;
pub use act::ActArgs;
pub use add::{AddArgs, AddCommand, AddNodesArgs};
pub use adopt::AdoptArgs;
pub use arrive::ArriveArgs;
pub use bundle::{BundleArgs, UpdateArg, UpgradeFrom};
pub use certs::{
    AuthorityArg, CertsArgs, CertsCheckArgs, CertsCommand, CertsRenewArgs, CertsRotateCaArgs,
};
pub use check::CheckArgs;
pub use config::{ConfigArgs, ConfigCommand, ExplainArgs};
pub use create::{CreateArgs, CreateClusterArgs, CreateCommand};
pub use delete::{DeleteArgs, DeleteClusterArgs, DeleteCommand, DeleteNodeArgs, RoleArg};
pub use depart::DepartArgs;
pub use diff::DiffArgs;
pub use drain::DrainArgs;
pub use etcd::{
    EtcdAlarmsArgs, EtcdArgs, EtcdBackupArgs, EtcdCommand, EtcdDefragArgs, EtcdDrillArgs,
    EtcdRestoreArgs, EtcdSiteArgs, EtcdStatusArgs,
};
pub use extract::ExtractArgs;
pub use get::{GetArgs, GetCommand, HostsArgs, JourneysArgs, NodesArgs, TreeArgs};
pub use images::{ImagesArgs, ImagesCommand, ImagesListArgs, ImagesPruneArgs, ImagesPushArgs};
pub use inspect::InspectArgs;
pub use install::{InstallArgs, RuntimeArgs};
pub use kubeconfig::KubeconfigArgs;
pub use lease::LeaseArgs;
pub use plan::{PlanArgs, PlanFormat};
pub use repair::RepairArgs;
pub use report::ReportArgs;
pub use restart::{PartArg, RestartArgs};
pub use serve::ServeArgs;
pub use upgrade::{UpgradeArgs, UpgradeClusterArgs, UpgradeCommand};
pub use verify::VerifyArgs;

use crate::output::Format;

/// Build and install Kubernetes clusters where there is no Internet
///
/// `kubexm bundle` runs on a connected machine and packs everything a cluster needs into one file. `kubexm install` runs
/// inside the site, beside that file, and needs nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "kubexm",
    bin_name = "kubexm",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  kubexm config init -o config.yaml          start a config
  kubexm bundle -f config.yaml               fetch and pack, on a connected machine
  kubexm install mycluster.tar.zst           install, inside the site

Exit codes:
  0    done
  1    the run failed
  2    wrong usage or config
  3    verification failed
  130  interrupted"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every verb takes.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How to talk: text for people, or one JSON event a line on stdout
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub output: Format,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: ColorChoice,
    /// Diagnostics on stderr; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    Bundle(BundleArgs),
    Inspect(InspectArgs),
    Verify(VerifyArgs),
    Diff(DiffArgs),
    Extract(ExtractArgs),
    Depart(DepartArgs),
    Arrive(ArriveArgs),
    Repair(RepairArgs),
    Serve(ServeArgs),
    Install(InstallArgs),
    Plan(PlanArgs),
    Create(CreateArgs),
    Add(AddArgs),
    Upgrade(UpgradeArgs),
    Delete(DeleteArgs),
    Restart(RestartArgs),
    Check(CheckArgs),
    Etcd(EtcdArgs),
    Certs(CertsArgs),
    Adopt(AdoptArgs),
    Report(ReportArgs),
    Get(GetArgs),
    Images(ImagesArgs),
    Kubeconfig(KubeconfigArgs),
    Config(ConfigArgs),
    /// Print a shell's completion script
    #[command(after_help = "\
Examples:
  kubexm completion bash > /etc/bash_completion.d/kubexm
  kubexm completion zsh > \"${fpath[1]}/_kubexm\"
  kubexm completion fish > ~/.config/fish/completions/kubexm.fish")]
    Completion {
        shell: Shell,
    },
    /// Write the manual pages
    #[command(after_help = "\
Examples:
  kubexm man /usr/local/share/man/man1")]
    Man {
        /// The directory; it is made where it is not there
        dir: Utf8PathBuf,
    },
    /// What --help tells of a verb
    #[command(hide = true)]
    Help {
        verb: Vec<String>,
    },
    /// Print the version, and the bundle format it writes
    #[command(after_help = "\
Examples:
  kubexm version
  kubexm version --output json")]
    Version,
}

/// A directory, or nothing yet.
fn work_dir(path: &str) -> Result<Utf8PathBuf, &'static str> {
    match fs::metadata(path) {
        Ok(there) if !there.is_dir() => Err("it is there, and is no directory"),
        _ => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
