use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::ActArgs;

/// Look after images of your own in the site's registry
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm images push app.tar -f config.yaml")]
pub struct ImagesArgs {
    #[command(subcommand)]
    pub command: ImagesCommand,
}

#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    Push(ImagesPushArgs),
}

/// Push images into the site's registry, so that nodes can pull them by their own names
///
/// From another bundle, an OCI layout, or a tar as docker save, podman save, skopeo and ctr write it. They go to the site's registry,
/// of whichever type, each under its original host; of two registries into both. What is there already is not sent again. Nodes
/// learn of hosts that no image had before. The bundle of the cluster and its config stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm images push app.tar -f config.yaml                        all of what docker save has written
  kubexm images push layout/ quay.io/team/app:1.4 -f config.yaml   one of a layout; it may have no name there
  kubexm images push more.tar.zst -f config.yaml                   the images of another bundle
  kubexm images push app.tar -f config.yaml --dry-run")]
pub struct ImagesPushArgs {
    /// A bundle, a folder with an OCI layout, or a tar
    #[arg(value_name = "SOURCE")]
    pub source: Utf8PathBuf,
    /// These alone: HOST/NAME:TAG
    #[arg(value_name = "REF")]
    pub references: Vec<String>,
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    #[command(flatten)]
    pub act: ActArgs,
}
