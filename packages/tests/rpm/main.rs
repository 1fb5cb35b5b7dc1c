//! Judged by the tools that distributions and their systems use: rpmbuild, `createrepo_c`, rpm, rpmsign, gpg and dnf.
mod carry;
mod choose;
mod order;
mod trust;
mod upstream;
