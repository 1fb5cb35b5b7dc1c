use camino::Utf8PathBuf;
use clap::Args;

/// Tell what changes from one bundle to another, without unpacking either
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm diff old.tar.zst new.tar.zst
  kubexm diff .kubexm/mycluster/bundle.json new.tar.zst       what the site gets with it
  kubexm diff old.tar.zst new.tar.zst --output json | jq '.images[].name'")]
pub struct DiffArgs {
    /// What there is: a bundle, or the bundle.json of a tree
    #[arg(value_name = "OLD")]
    pub before: Utf8PathBuf,
    /// What comes: a bundle, a delta or any segment of one
    #[arg(value_name = "NEW")]
    pub after: Utf8PathBuf,
}
