//! Units of systemd.

mod ask_restart;
mod reload;
pub(crate) mod run;
mod stays_up;
mod stop;

pub use ask_restart::AskRestart;
pub(crate) use ask_restart::mark_for_restart;
pub use reload::ReloadService;
pub use run::RunService;
pub use stays_up::StaysUp;
pub use stop::StopServices;
