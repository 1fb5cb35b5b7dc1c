use camino::Utf8PathBuf;
use clap::Args;

use super::work_dir;

/// Read a whole bundle and name everything in it that is damaged
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm verify mycluster.tar.zst
  kubexm verify mycluster.tar.zst --signers allowed_signers
  kubexm verify mycluster.delta.tar.zst --work-dir .")]
pub struct VerifyArgs {
    /// The bundle; of segments any, each is verified by itself
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<Utf8PathBuf>,
    /// Insist on a signature by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
    /// Also look whether what a delta does not carry is in the tree below DIR/.kubexm/
    #[arg(long, value_name = "DIR", value_parser = work_dir)]
    pub work_dir: Option<Utf8PathBuf>,
}
