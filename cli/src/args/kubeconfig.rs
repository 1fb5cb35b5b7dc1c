use camino::Utf8PathBuf;
use clap::Args;

use super::get::TreeArgs;

/// Hand out the administrator's kubeconfig
///
/// It names the apiserver by an address that works from this machine without an entry in its /etc/hosts: the virtual
/// address, or else the first master's.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm kubeconfig -f config.yaml -o admin.conf
  kubexm kubeconfig -f config.yaml --server https://127.0.0.1:6443 > tunnel.conf
  KUBECONFIG=admin.conf kubectl get nodes")]
pub struct KubeconfigArgs {
    #[command(flatten)]
    pub tree: TreeArgs,
    /// Where it goes, readable for you alone; replaces only what was handed out for this cluster before [default: stdout]
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Where the apiserver is reached from here
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}
