//! Making a work directory again from the hosts of its cluster: what no file of a host holds as the operator's machine has it.

mod authorities;
mod logins;
mod notes;

pub use authorities::{CompareAuthorities, FoundAuthority, LookAtAuthorities};
pub use logins::{FetchHarborPasswords, FetchRegistryLogin, FetchVrrp};
pub use notes::{InsistOnAuthorities, NoteBegun, TellLost};
