use camino::Utf8PathBuf;
use clap::Args;

/// Tell what a bundle holds, without unpacking it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm inspect mycluster.tar.zst
  kubexm inspect mycluster.tar.zst --files
  kubexm inspect mycluster.tar.zst --json | jq -r '.images[].reference'")]
pub struct InspectArgs {
    /// The bundle
    pub file: Utf8PathBuf,
    /// Print bundle.json as it is
    #[arg(long)]
    pub json: bool,
    /// List every file
    #[arg(long)]
    pub files: bool,
}
