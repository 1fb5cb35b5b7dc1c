//! Units of systemd.

mod reload;
pub(crate) mod run;
mod stays_up;
mod stop;

pub use reload::ReloadService;
pub use run::RunService;
pub use stays_up::StaysUp;
pub use stop::StopServices;
