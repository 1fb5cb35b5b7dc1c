//! Packages of operating systems: indexes verified and read, dependencies solved, a repository written. Bytes in, data
//! out; no network.

pub mod answer;
pub mod checked;
pub mod deb;
pub mod openpgp;
pub mod rpm;
pub mod solve;
