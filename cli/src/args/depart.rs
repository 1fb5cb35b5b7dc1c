use camino::Utf8PathBuf;
use clap::Args;

/// Read back what is on a medium before it leaves, and write a list of it onto it
///
/// A program that copies reports success when all is in the memory of this machine. kubexm has it written, reads all of it from the
/// medium itself, past that memory, and compares: a bundle with what was packed, any other file with what was copied.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm depart /media/usb
  kubexm depart /media/usb --sign ~/.ssh/id_ed25519
  kubexm depart /media/usb --sign second-key      (somebody else looks at it too, and signs the same list)

The list is kubexm-journey.json. At the site, kubexm arrive compares the medium with it.")]
pub struct DepartArgs {
    /// Where the medium is mounted; there is a bundle on it
    #[arg(value_name = "MEDIUM")]
    pub medium: Utf8PathBuf,
    /// Sign the list with this SSH private key; KUBEXM_SIGN_PASSPHRASE opens it
    #[arg(long, value_name = "KEY")]
    pub sign: Option<Utf8PathBuf>,
}
