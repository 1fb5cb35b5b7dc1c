//! Files and directories of a host, and of the operator's machine.

mod data_directory;
mod edit_block;
mod expect;
pub(crate) mod fetch;
mod hold;
mod insist_on_mount;
mod keep_key_pair;
mod local_note;
mod local_text;
mod make_directory;
mod remove_block;
mod remove_local;
mod replace_config;
mod upload;
mod upload_key_pair;

pub use data_directory::DataDirectory;
pub use edit_block::EditBlock;
pub use expect::ExpectFiles;
pub use fetch::FetchFiles;
pub use hold::HoldFile;
pub use insist_on_mount::InsistOnMount;
pub use keep_key_pair::KeepKeyPair;
pub use local_note::{LocalNote, Noted};
pub use local_text::LocalText;
pub use make_directory::MakeDirectory;
pub use remove_block::RemoveBlock;
pub use remove_local::RemoveLocal;
pub use replace_config::ReplaceConfig;
pub use upload::{Content, UploadFile};
pub use upload_key_pair::UploadKeyPair;
