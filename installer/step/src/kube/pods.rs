//! Waiting for pods: what keeps them from being Ready, in the words of the kubelet and of their own logs, and whether
//! waiting can heal it.

mod healing;
mod trouble;
mod wait;

pub(crate) use trouble::{Trouble, told};
pub(crate) use wait::{Pace, Seen, Waited, host_time, wait_for};
