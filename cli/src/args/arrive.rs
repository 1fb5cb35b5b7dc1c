use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::Args;

use super::work_dir;

/// Compare what a medium has brought with the list that it left with, and write a receipt
///
/// The receipt is for whoever made the bundle: it tells what is in the site now, as kubexm get inventory does, so that
/// kubexm bundle --since makes a delta for it. No host is touched, and nothing is unpacked: that is kubexm install.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm arrive /media/usb
  kubexm arrive /media/usb --signers allowed_signers --sign site-key
  kubexm arrive /media/usb --signers allowed_signers --threshold 2
  kubexm arrive /media/dvd -o /media/back        (a medium that cannot be written to)

Where bundles are made:
  kubexm bundle -f config.yaml --since /media/usb/kubexm-receipt.mycluster.json")]
pub struct ArriveArgs {
    /// Where the medium is mounted
    #[arg(value_name = "MEDIUM")]
    pub medium: Utf8PathBuf,
    /// Insist on a list that is signed by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
    /// How many of them must have signed it
    #[arg(long, value_name = "N", requires = "signers")]
    pub threshold: Option<NonZeroUsize>,
    /// Sign the receipt with this SSH private key; KUBEXM_SIGN_PASSPHRASE opens it
    #[arg(long, value_name = "KEY")]
    pub sign: Option<Utf8PathBuf>,
    /// The directory to write receipts into [default: the medium, where it can be written to]
    #[arg(short = 'o', long = "out", value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// The directory that holds .kubexm/, where it is noted what has come
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
}
