use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{AccessArgs, ActArgs, work_dir};

/// Look after the images in the site's registry
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm images push app.tar -f config.yaml
  kubexm images list -f config.yaml
  kubexm images prune -f config.yaml --dry-run")]
pub struct ImagesArgs {
    #[command(subcommand)]
    pub command: ImagesCommand,
}

#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    Push(ImagesPushArgs),
    List(ImagesListArgs),
    Prune(ImagesPruneArgs),
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

/// List what lies in the site's registry, and who names it
///
/// Each image with its digest, the size of all its architectures, and whether the bundle in the work directory, something in the cluster,
/// or nobody names it. Registries, a master and the work directory are asked; nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm images list -f config.yaml
  kubexm images list -f config.yaml --output json")]
pub struct ImagesListArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Remove from the site's registry what neither the bundle nor anything in the cluster names
///
/// Pods count, and all that makes pods: deployments of no replicas, jobs of a schedule. What only people know of, such as an image for
/// next week, does not: push it again then. The registry is stopped while its disk is freed; of two, one after the other. Both have to
/// answer, and the cluster, or nothing is removed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm images prune -f config.yaml --dry-run
  kubexm images prune -f config.yaml --yes")]
pub struct ImagesPruneArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub act: ActArgs,
}
