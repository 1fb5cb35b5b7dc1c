//! What no type can say: how the parts of a config must go together.

mod addons;
mod arguments;
mod cgroups;
mod directories;
mod dns;
mod endpoint;
mod etcd;
mod files;
mod hosts;
mod kubernetes;
mod network;
mod ports;
mod registry;
mod roles;
mod runtime;
mod tools;

use crate::places::Places;
use crate::problem::Severity;
use crate::{Cluster, KeyPath};

/// Something found in a typed config.
pub(crate) struct Finding {
    pub severity: Severity,
    pub path: KeyPath,
    pub message: String,
    pub hint: Option<String>,
}

pub(crate) fn validate(cluster: &Cluster, places: &Places) -> Vec<Finding> {
    let mut check = Check {
        cluster,
        places,
        findings: Vec::new(),
    };
    hosts::check(&mut check);
    addons::check(&mut check);
    roles::check(&mut check);
    endpoint::check(&mut check);
    kubernetes::check(&mut check);
    arguments::check(&mut check);
    files::check(&mut check);
    runtime::check(&mut check);
    cgroups::check(&mut check);
    etcd::check(&mut check);
    network::check(&mut check);
    dns::check(&mut check);
    registry::check(&mut check);
    ports::check(&mut check);
    tools::check(&mut check);
    directories::check(&mut check);
    check.findings
}

/// The config under judgement, and what was found so far.
struct Check<'c> {
    cluster: &'c Cluster,
    places: &'c Places,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn error(&mut self, path: KeyPath, message: String, hint: impl Into<Option<String>>) {
        self.find(Severity::Error, path, message, hint.into());
    }

    fn warn(&mut self, path: KeyPath, message: String, hint: impl Into<Option<String>>) {
        self.find(Severity::Warning, path, message, hint.into());
    }

    fn find(&mut self, severity: Severity, path: KeyPath, message: String, hint: Option<String>) {
        self.findings.push(Finding {
            severity,
            path,
            message,
            hint,
        });
    }

    /// Whether none of these was refused already: a default in its place says nothing about what was meant.
    fn sound(&self, paths: &[&str]) -> bool {
        paths
            .iter()
            .all(|path| !self.places.is_broken(&KeyPath::of(path)))
    }

    /// Whether anything is written there, right or wrong.
    fn written(&self, path: &str) -> bool {
        self.places
            .get(&KeyPath::of(path))
            .is_some_and(|place| place.filled)
    }

    /// " (line 17)", where the path is written.
    fn line(&self, path: &KeyPath) -> String {
        self.places
            .get(path)
            .map_or_else(String::new, |place| format!(" (line {})", place.value.line))
    }
}
