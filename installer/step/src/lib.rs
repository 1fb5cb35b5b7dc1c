//! One act on one host, one file each. A step knows the host, its templates and what lies in the tree; it does not know
//! the task it is part of.

mod addon;
mod adopt;
mod before;
mod check;
mod container;
mod etcd;
mod file;
mod harbor;
mod image;
mod kube;
mod kubeadm;
mod local_file;
mod network;
mod packages;
mod pki;
mod preflight;
mod program;
mod registry;
mod service;
mod shell;
mod system;
mod take_back;

pub use addon::{ApplyAddon, ProveAddon, RemoveAddon};
pub use adopt::{
    CompareAuthorities, FetchHarborPasswords, FetchRegistryLogin, FetchVrrp, FoundAuthority,
    InsistOnAuthorities, LookAtAuthorities, NoteBegun, TellLost,
};
pub use before::Resource;
pub use check::{
    Family, KnownImage, LookAtNodes, NodeSeen, ProbePods, Probes, ProveApiServices, ProveApiserver,
    ProveCertificates, ProveEndpoint, ProveEtcd, ProveImageSource, ProveImages, ProveNodes,
    ProveReach, ProveRegistry, ProveSystemPods, ProveTime, ProveWebhooks, RemoveProbePods,
    SetUpProbePods, WebhookSeen, api_answers,
};
pub use container::*;
pub use etcd::*;
pub use file::*;
pub use harbor::*;
pub use host::{FileAttrs, Owner};
pub use image::*;
pub use kube::*;
pub use kubeadm::*;
pub use network::*;
pub use packages::*;
pub use pki::*;
pub use preflight::{
    Activity, Bringer, Carried, CgroupV1, Component, Device, Directory, Eviction, FOUNDATION,
    Finding, Held, HostSeen, Identity, JudgeClocks, JudgeSurveys, KeptAuthority, KernelSince,
    Leftover, LookAtClock, LookAtHost, MARKER, Memory, Mounted, Neighbour, NextEtcd, Observed,
    OtherKubernetes, Port, Program, ProgramFeature, Reached, Requirements, Rival, SelinuxBoolean,
    SharedAddress, SiteName, Socket, Space, Survey, SurveyHost, System,
};
pub use program::*;
pub use registry::*;
pub use service::*;
pub use system::*;
pub use take_back::TakeBack;
pub use time::OffsetDateTime;
