//! Preflight: every host is surveyed, then all surveys are judged together, so that the operator reads one report of
//! everything that is wrong before anything is touched.

mod ask;
mod authorities;
mod clocks;
mod disks;
mod ended;
mod etcd_change;
mod guards;
mod judge;
mod kernel;
pub(crate) mod look_at_host;
mod mounts;
mod names;
mod network;
mod observed;
mod others;
mod packages;
mod ports;
mod reach;
mod routes;
mod running;
mod shared;
mod together;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{Asks, Cx, Question, Slot, State, StepError};
use ipnet::IpNet;

use crate::KernelModule;
use crate::before;
use crate::packages::SystemPackages;

pub use authorities::KeptAuthority;
pub use clocks::{JudgeClocks, LookAtClock};
pub use disks::Eviction;
pub use etcd_change::NextEtcd;
pub use guards::SelinuxBoolean;
pub use kernel::{CgroupV1, KernelSince};
pub use look_at_host::{Carried, Component, HostSeen, LookAtHost};
pub use mounts::Mounted;
pub use names::SiteName;
pub use network::Directory;
pub use observed::{Activity, Observed};
pub use others::{Rival, Socket};
pub use reach::Reached;
pub use shared::{Held, SharedAddress};
pub use together::{Identity, JudgeSurveys};

/// What is thought of a Kubernetes that runs already and is of another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherKubernetes {
    #[default]
    Refused,
    /// It is about to be upgraded.
    Expected,
}

/// What a host must be and have.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// The cluster whose marker on the host means "ours already": then its ports, space and data are its own.
    pub cluster: String,
    /// What the cluster keeps from its beginning, by key of the config.
    pub foundation: BTreeMap<&'static str, String>,
    /// What no run may replace.
    pub authorities: Vec<KeptAuthority>,
    /// Where certificates are that install does not renew: files, or directories with all below.
    pub certificates: &'static [&'static str],
    /// The version of Kubernetes: `v1.34.2`.
    pub kubernetes: String,
    /// What is thought of one that runs here already and is of another version.
    pub other_kubernetes: OtherKubernetes,
    /// The version of etcd that the bundle brings for a member here.
    pub etcd: Option<NextEtcd>,
    /// The machine type (`uname -m`) that the config names, and the bundle has programs for.
    pub machine: String,
    /// The operating systems that kubexm supports.
    pub systems: Vec<System>,
    /// Others that are taken without being known, by their ids.
    pub accepted: Vec<String>,
    pub ports: Vec<Port>,
    /// The same of UDP.
    pub datagram_ports: Vec<Port>,
    pub directories: Vec<Directory>,
    pub space: Vec<Space>,
    /// Directories that programs are run from.
    pub executable: Vec<String>,
    pub memory: Option<Memory>,
    /// What becomes of it with cgroup v1.
    pub cgroup_v1: CgroupV1,
    pub kernels: Vec<KernelSince>,
    /// Networks that its programs must have a route to.
    pub routed: Vec<IpNet>,
    /// It will forward IPv6 packets.
    pub forwards_v6: bool,
    /// The names that it must know others by.
    pub names: Vec<SiteName>,
    /// What cannot be at work beside kubexm's own.
    pub rivals: Vec<Rival>,
    pub sockets: Vec<Socket>,
    /// Where file systems of containers are laid over each other.
    pub overlay: Option<String>,
    pub evictions: Vec<Eviction>,
    /// Controllers of cgroups, v1 or v2.
    pub controllers: Vec<&'static str>,
    /// What the kernel must have, or be able to load.
    pub modules: Vec<KernelModule>,
    pub programs: Vec<Program>,
    pub features: Vec<ProgramFeature>,
    pub devices: Vec<Device>,
    /// What the bundle brings for each system that the host may run. None: it brings no packages.
    pub packages: Vec<SystemPackages>,
    /// The time zone that it shall have.
    pub timezone: Option<String>,
    /// What `SELinux` must allow, where it is enforced.
    pub selinux: Vec<SelinuxBoolean>,
    /// Paths that another installation leaves behind.
    pub leftovers: Vec<Leftover>,
    /// The addresses that the config gives the host.
    pub addresses: Vec<IpAddr>,
    /// Addresses of other hosts that must be in a network of this one.
    pub neighbours: Vec<Neighbour>,
    /// What must be mounted before anything is put there.
    pub mounts: Vec<Mounted>,
    /// What of other machines it must get a connection to.
    pub reached: Vec<Reached>,
    /// Addresses that this host holds in turn with others, and where they are then reached.
    pub shared: Vec<SocketAddr>,
}

/// A host that must be reached without a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub name: String,
    pub address: IpAddr,
}

/// An operating system by `ID` of os-release, and the oldest supported release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    pub id: &'static str,
    pub since: (u32, u32),
}

/// A port and what will listen on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub of: &'static str,
}

/// Bytes that will be put below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    pub path: String,
    pub bytes: u64,
    pub of: &'static str,
}

/// Memory, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub mib: u64,
    pub of: &'static str,
}

/// A program that steps call on the host, and the package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    pub package: &'static str,
    pub bringer: Bringer,
}

/// Who brings a program onto a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bringer {
    /// Every such system has it.
    System,
    /// A bundle with packages for the system.
    Bundle,
}

/// What not every build of a program has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFeature {
    pub program: &'static str,
    pub name: &'static str,
    /// The shell's test for it, which changes nothing.
    pub test: &'static str,
    pub package: &'static str,
}

/// A device of the host, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    pub path: &'static str,
    pub of: &'static str,
    pub fix: &'static str,
}

/// A path, or a pattern with one star, and what it is a sign of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub path: String,
    pub of: &'static str,
}

/// Something that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub fix: String,
}

impl Finding {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// What a survey brought to light.
#[derive(Clone, Debug)]
pub struct Survey {
    pub hostname: String,
    pub machine_id: String,
    /// How far the host's clock is ahead of the operator's, give or take the round trip.
    pub clock_ahead_ms: i64,
    pub round_trip_ms: u64,
    pub shared: Vec<SharedAddress>,
    pub observed: Observed,
    pub findings: Vec<Finding>,
}

/// The file that says to which cluster a host belongs.
pub const MARKER: &str = "/etc/kubexm/cluster";
/// The file in which a master keeps what its cluster was begun with: a line for each key of the config.
pub const FOUNDATION: &str = "/etc/kubexm/foundation";

/// Looks at a host. Never fails for what it finds; only for a host that cannot be asked.
pub struct SurveyHost {
    pub requirements: Requirements,
    /// What becomes of the other hosts while this one cannot be asked; none where they go on as if nothing were.
    pub without: Option<&'static str>,
    pub survey: Slot<Survey>,
}

fn told_with(error: StepError, without: Option<&str>) -> StepError {
    let Some(without) = without else {
        return error;
    };
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {without}"),
        None => without.to_owned(),
    };
    error.with_hint(hint)
}

#[async_trait]
impl Question for SurveyHost {
    fn id(&self) -> String {
        "survey".to_owned()
    }

    fn describe(&self) -> String {
        "look at the host: access, system, clock, space, ports, kernel, leftovers".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let facts = cx.host.facts().await;
        let facts = facts.map_err(|error| told_with(error.into(), self.without))?;
        let wanted = &self.requirements;
        // Side by side, so that all of it can be asked at once.
        let (marker, seen, lacks, packages, distant, reached, bare, outside, guards, shared) = tokio::try_join!(
            async { Ok(cx.host.read(MARKER.into()).await?) },
            observed::look(cx, wanted),
            ask::find_lacks(cx, wanted, &facts),
            packages::find_lacks(cx, wanted, &facts),
            ask::find_distant(cx, wanted),
            reach::find_unreached(cx, wanted),
            mounts::find_bare(cx, wanted),
            shared::find_outside(cx, wanted),
            guards::look(cx, wanted),
            shared::look(cx, wanted, &facts),
        )?;
        let marker = marker.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let mut findings = judge::judge_facts(wanted, &facts);
        findings.extend(kernel::judge(wanted, &facts));
        findings.extend(disks::judge_noexec(wanted, &facts, &seen));
        findings.extend(disks::judge_overlay(wanted, &seen));
        findings.extend(network::judge_directories(wanted, &seen));
        findings.extend(routes::judge(wanted, &seen));
        findings.extend(names::judge(wanted, &seen));
        for found in [lacks, packages, distant, reached, bare, outside] {
            findings.extend(found);
        }
        findings.extend_from_slice(&guards.findings);
        match marker {
            Some(cluster) if cluster == self.requirements.cluster => {
                let (replaced, ended, changed, other, etcd) = tokio::try_join!(
                    authorities::find_replaced(cx, wanted),
                    ended::find_ended(cx, wanted),
                    running::find_changed(cx, wanted),
                    running::find_other_version(cx, wanted),
                    etcd_change::find(cx, wanted),
                )?;
                for found in [replaced, ended, changed, other, etcd] {
                    findings.extend(found);
                }
            }
            Some(cluster) => findings.push(Finding::new(
                format!("it belongs to the cluster '{cluster}' ({MARKER})"),
                format!("take it out of '{cluster}' first, or take it out of this config"),
            )),
            None => {
                // On a cluster that works it does let them through.
                guards::warn(cx, &guards);
                findings.extend(ports::judge(cx, &self.requirements, &facts).await?);
                findings.extend(network::judge_datagram_ports(&self.requirements, &seen));
                findings.extend(disks::judge_space(&self.requirements, &facts, &seen));
                findings.extend(others::judge_rivals(&self.requirements, &seen));
                findings.extend(shared::judge_held(&shared));
                let kept = before::kept_data(cx, &self.requirements.cluster).await?;
                let is_kept =
                    |path: &str| kept.iter().any(|dir| Utf8Path::new(path).starts_with(dir));
                let left = others::judge_leftovers(&self.requirements, &seen, is_kept);
                findings.extend(left);
            }
        }
        self.survey.fill(Survey {
            hostname: facts.hostname.clone(),
            machine_id: facts.machine_id.clone(),
            clock_ahead_ms: facts.clock_ahead_ms,
            round_trip_ms: facts.round_trip_ms,
            shared,
            observed: seen,
            findings,
        });
        Ok(State::Satisfied)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
