use camino::Utf8PathBuf;
use clap::Args;

/// How hosts are logged in to, beside the config.
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// Trust the key of a host that is seen for the first time, and remember it
    #[arg(long)]
    pub accept_new_host_keys: bool,
    /// Where host keys are looked up [default: ~/.ssh/known_hosts]
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<Utf8PathBuf>,
}
