//! SSH against a real sshd on loopback. Needs root: logins by password and sudo need users of the system.

mod bastion;
mod commands;
mod elevation;
mod host_keys;
mod lab;
mod login;
mod loss;
mod upload;
