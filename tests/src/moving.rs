//! A site whose hosts come and go.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::kube::{Site, Topology};
use crate::lab::Ended;
use crate::snapshot::Snapshot;

/// Which hosts do what; those that are named nowhere are not in the config.
#[derive(Clone, Copy)]
pub struct Roles<'a> {
    pub etcd: &'a [&'a str],
    pub master: &'a [&'a str],
    pub worker: &'a [&'a str],
}

/// The config of all hosts with these roles, and without the hosts that have none.
fn config(whole: &str, roles: &Roles<'_>, registry: &str) -> Result<String> {
    let (head, rest) = whole
        .split_once("  roleGroups:\n")
        .context("a config has roles")?;
    let all = [roles.etcd, roles.master, roles.worker, &[registry]].concat();
    let is_there = |line: &&str| {
        let mut named = line.split("{name: ").skip(1);
        named.all(|rest| all.iter().any(|host| rest.starts_with(&format!("{host},"))))
    };
    let lines = |lines: Vec<&str>| lines.join("\n") + "\n";
    let head = lines(head.lines().filter(is_there).collect());
    let rest = lines(
        rest.lines()
            .skip_while(|line| line.starts_with("    "))
            .collect(),
    );
    let rest = rest.replace(
        "  controlPlaneEndpoint: {internalLoadbalancer: nginx}\n",
        "",
    );
    let mut groups = String::new();
    for (role, names) in [
        ("etcd", roles.etcd),
        ("master", roles.master),
        ("worker", roles.worker),
    ] {
        if !names.is_empty() {
            writeln!(groups, "    {role}: [{}]", names.join(", "))?;
        }
    }
    Ok(format!(
        "{head}  roleGroups:\n{groups}    registry: [{registry}]\n  controlPlaneEndpoint: {{internalLoadbalancer: nginx}}\n{rest}"
    ))
}

/// A site whose config changes as hosts come and go.
pub struct Moving {
    pub site: Site,
    /// With every host that there ever is.
    whole: String,
    bare: Snapshot,
    registry: String,
}

impl Moving {
    /// The last of the hosts is the registry; all others may be given back.
    pub fn up(hosts: usize, topology: Topology, kind: &str) -> Result<Self> {
        let site = Site::up(hosts, topology, kind)?;
        let guests: Vec<String> = (1..hosts).map(|at| format!("node{at}")).collect();
        let guests: Vec<&str> = guests.iter().map(String::as_str).collect();
        Ok(Self {
            bare: Snapshot::of(&site.lab, &guests)?,
            whole: site.config.clone(),
            registry: format!("node{hosts}"),
            site,
        })
    }

    pub fn write(&mut self, roles: &Roles<'_>) -> Result<()> {
        self.site.config = config(&self.whole, roles, &self.registry)?;
        self.site.write_config()
    }

    pub fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        let began = Instant::now();
        let ended = self.site.kubexm(arguments)?;
        eprintln!("{} took {:?}", arguments.join(" "), began.elapsed());
        Ok(ended)
    }

    pub fn add(&self) -> Result<Ended> {
        self.kubexm(&["add", "nodes", "-f", "config.yaml"])?.ok()
    }

    pub fn delete(&self, names: &[&str], flags: &[&str]) -> Result<Ended> {
        let delete = [
            &["delete", "node"],
            names,
            &["-f", "config.yaml", "--yes"],
            flags,
        ]
        .concat();
        self.kubexm(&delete)?.ok()
    }

    /// The cluster is as the config has it, and nothing is left to do.
    pub fn settled(&self) -> Result<()> {
        self.kubexm(&["check", "-f", "config.yaml"])?.ok()?;
        let again = self.kubexm(&["add", "nodes", "-f", "config.yaml"])?.ok()?;
        ensure!(again.text.contains("nothing to add"), "{}", again.text);
        let second = self
            .kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
            .ok()?;
        let unchanged = "everything is as it should be";
        ensure!(second.text.contains(unchanged), "{}", second.text);
        Ok(())
    }

    /// These hosts are as they were before they ever came.
    pub fn given_back(&self, hosts: &[&str]) -> Result<()> {
        let now = Snapshot::of(&self.site.lab, hosts)?;
        let left = self.bare.changes_to(&now);
        let of_them = |line: &&String| {
            hosts
                .iter()
                .any(|host| line[2..].starts_with(&format!("{host} ")))
        };
        let left: Vec<&String> = left.iter().filter(of_them).collect();
        ensure!(left.is_empty(), "what is left:\n{left:#?}");
        Ok(())
    }

    pub fn nodes(&self, master: &str) -> Result<String> {
        self.site.kubectl_on(master, "get nodes --output name")
    }
}
