use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use pipeline::InstallStage;

use super::install::{RuntimeArgs, stage};
use super::work_dir;

/// Print what install would do, as a graph
///
/// Needs no host: it tells what is done in which order, not what is done already. For that see install --dry-run.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("source").args(["file", "config"]).multiple(true).required(true),
    after_help = "\
Examples:
  kubexm plan mycluster.tar.zst
  kubexm plan -f site.yaml
  kubexm plan mycluster.tar.zst --format html > plan.html
  kubexm plan mycluster.tar.zst --format dot | dot -Tsvg > plan.svg"
)]
pub struct PlanArgs {
    /// The bundle; without it, the tree that an earlier run unpacked
    pub file: Option<Utf8PathBuf>,
    /// The site's config, where it differs from the one bundled; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// The last stage
    #[arg(long, value_name = "STAGE", value_parser = stage(), default_value = InstallStage::LAST.name(), hide_default_value = true)]
    pub until: InstallStage,
    #[command(flatten)]
    pub runtime: RuntimeArgs,
    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
}

/// How a plan is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// Stages, tasks and steps, indented
    #[default]
    Tree,
    /// Graphviz
    Dot,
    /// A page for a browser
    Html,
    Json,
}
