//! The steps that install and remove packages, before real apt and dnf on bare hosts. Needs root, and a bare root that
//! debootstrap makes once; says so where these cannot be had.

mod beside;
mod bundle;
mod busy;
mod deb;
mod fail;
mod install;
mod killed;
mod manager;
mod root;
mod rpm;
mod starts;
