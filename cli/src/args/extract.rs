use camino::Utf8PathBuf;
use clap::Args;

/// Take one file or one image out of a bundle, without unpacking the rest
///
/// What comes out is verified against bundle.json. Whether that is by somebody you trust is what --signers tells.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm extract mycluster.tar.zst config.yaml
  kubexm extract mycluster.tar.zst registry.k8s.io/pause:3.10.1 -o pause
  kubexm extract /media/disk1 kubectl/v1.36.2/amd64/kubectl -o /usr/local/bin/kubectl

An image becomes an OCI layout: skopeo copy oci:pause docker-archive:pause.tar")]
pub struct ExtractArgs {
    /// The bundle; of segments the one that holds it, or a directory with all of them
    pub file: Utf8PathBuf,
    /// A path, as kubexm inspect --files tells it, or an image
    #[arg(value_name = "PATH|IMAGE")]
    pub what: String,
    /// Where it goes, or a directory to put it into; nothing is replaced [default: its own name, in the current directory]
    #[arg(short = 'o', long = "out", value_name = "OUT")]
    pub out: Option<Utf8PathBuf>,
    /// Insist on a signature by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
}
