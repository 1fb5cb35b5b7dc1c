//! What belongs to a host's system.

mod apply_sysctls;
mod create_user;
mod disable_swap;
mod keep_sysctls;
mod link_resolv_conf;
mod load_modules;
mod look_for_resolvers;
mod mark_host;
mod reboot;
pub(crate) mod recognise_host;
mod recognise_returned;
mod set_hostname;
mod set_timezone;

pub use apply_sysctls::{ApplySysctls, Sysctl, Wanted};
pub use create_user::CreateUser;
pub use disable_swap::DisableSwap;
pub use keep_sysctls::KeepSysctls;
pub use link_resolv_conf::LinkResolvConf;
pub use load_modules::{Feature, KernelModule, LoadModules};
pub use look_for_resolvers::{LookForResolvers, Resolvers};
pub use mark_host::{LeaveHost, MarkHost};
pub use reboot::RebootHost;
pub use recognise_host::RecogniseHost;
pub use recognise_returned::{ProveMember, RecogniseReturned};
pub use set_hostname::SetHostname;
pub use set_timezone::SetTimezone;
