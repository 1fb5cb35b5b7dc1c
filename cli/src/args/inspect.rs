use camino::Utf8PathBuf;
use clap::Args;

/// Tell what a bundle holds, without unpacking it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm inspect mycluster.tar.zst
  kubexm inspect mycluster.tar.zst --tree
  kubexm inspect mycluster.tar.zst --files
  kubexm inspect mycluster.tar.zst --json | jq -r '.images[].reference'")]
pub struct InspectArgs {
    /// The bundle
    pub file: Utf8PathBuf,
    /// Print bundle.json as it is
    #[arg(long)]
    pub json: bool,
    /// Tell each folder and file with its size; the table of images has their names
    #[arg(long, conflicts_with = "files")]
    pub tree: bool,
    /// List every file
    #[arg(long)]
    pub files: bool,
}
