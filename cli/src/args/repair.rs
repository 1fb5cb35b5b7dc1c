use camino::Utf8PathBuf;
use clap::Args;

/// Make again what is damaged or lost of a bundle, out of its parity
///
/// kubexm bundle --parity 5% writes parity beside the bundle: as many blocks as 5 % of it has. So many damaged or lost blocks are
/// made again, whichever they are. What is whole is left alone. Files are told by what is in them, so names play no part, and
/// several copies of a file help each other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm repair mycluster.tar.zst mycluster.parity
  kubexm repair /media/disk1 /media/disk2 -o /srv/spool
  kubexm bundle -f config.yaml --segment-size dvd --parity 10%     (where bundles are made)

What comes out has the SHA-256 of the file that the parity was made of. kubexm verify tells what is damaged.")]
pub struct RepairArgs {
    /// Parity and all that is left of the bundle: files, or directories with them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<Utf8PathBuf>,
    /// The directory for what is made again
    #[arg(short = 'o', long = "out", value_name = "DIR", default_value = ".")]
    pub out: Utf8PathBuf,
}
