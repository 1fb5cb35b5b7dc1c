//! Tests of the whole: the layer rule, plans, and the lab. The crate itself holds what they share.

pub mod kube;
pub mod lab;
pub mod load;
pub mod moments;
pub mod moving;
pub mod snapshot;
pub mod upgrade;
