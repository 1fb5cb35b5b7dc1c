use clap::Args;
use pipeline::StaleLease;

/// How a run gets to be the only one at work on a cluster.
#[derive(Debug, Args)]
pub struct LeaseArgs {
    /// Take the place of a run from another machine that has not ended, and is not heard of any more
    #[arg(long)]
    break_lease: bool,
}

impl LeaseArgs {
    pub const fn stale(&self) -> StaleLease {
        if self.break_lease {
            StaleLease::Break
        } else {
            StaleLease::Respect
        }
    }
}
