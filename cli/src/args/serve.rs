use std::net::SocketAddr;

use camino::Utf8PathBuf;
use clap::Args;

/// Serve the images and files of a bundle over HTTP, without unpacking it
///
/// Container runtimes, skopeo and curl pull from it: images by the distribution API, files by their paths, in parts if asked for.
/// Nothing can be written. There is neither TLS nor a login: whoever reaches the address can read all of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm serve mycluster.tar.zst
  kubexm serve /media/disk1 /media/disk2 --listen 192.0.2.1:5000

Then:
  skopeo copy --src-tls-verify=false docker://127.0.0.1:5000/registry.k8s.io/pause:3.10.1 oci:pause
  curl http://127.0.0.1:5000/files/ | head
  curl -O -C - http://127.0.0.1:5000/files/config.yaml")]
pub struct ServeArgs {
    /// The bundle; of segments all, or directories with them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<Utf8PathBuf>,
    /// The address and port; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// Insist on a signature by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
}
