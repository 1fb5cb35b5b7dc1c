use crate::Resource;

/// What steps have to know of a container runtime.
#[derive(Debug, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// As a node calls it: `containerd://2.1.9`.
    pub name: &'static str,
    /// What kubelets talk to comes first, and is stopped first.
    pub units: &'static [&'static str],
    /// Where kubelets talk to it.
    pub socket: &'static str,
    /// The file that says where its data is, and what of it stands before the path.
    pub data_told: (&'static str, &'static str),
    /// How much of its version may change while its containers run on.
    pub outlived: Outlived,
    /// What it makes by itself beside its data.
    pub leaves: &'static [&'static str],
}

/// The part of a version that is another where running containers are not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlived {
    Major,
    /// One of another minor does away with what the one before has made.
    Minor,
}

pub const CONTAINERD: RuntimeFacts = RuntimeFacts {
    name: "containerd",
    units: &["containerd.service"],
    socket: "/run/containerd/containerd.sock",
    data_told: ("/etc/containerd/config.toml", "root = "),
    outlived: Outlived::Major,
    leaves: &["/run/containerd", "/run/nri", "/opt/containerd"],
};

pub const CRIO: RuntimeFacts = RuntimeFacts {
    name: "cri-o",
    units: &["crio.service"],
    socket: "/run/crio/crio.sock",
    data_told: ("/etc/crio/crio.conf.d/10-kubexm.conf", "root = "),
    outlived: Outlived::Minor,
    leaves: &[
        "/etc/crio/auth",
        "/etc/crio/policies",
        "/run/crio",
        "/run/crun",
        "/run/nri",
        "/var/lib/containers/cache",
        "/var/lib/crio/clean.shutdown",
        "/var/lib/crio/clean.shutdown.supported",
        "/var/lib/crio/version",
        "/var/log/crio",
    ],
};

pub const DOCKER: RuntimeFacts = RuntimeFacts {
    name: "docker",
    units: &["cri-docker.service", "docker.service"],
    socket: "/run/cri-dockerd.sock",
    data_told: ("/etc/docker/daemon.json", "\"data-root\": "),
    outlived: Outlived::Major,
    leaves: &[
        "/opt/containerd",
        "/run/containerd",
        "/run/docker",
        "/run/cri-dockerd.sock",
        "/var/lib/cri-dockerd",
        "/run/nri",
    ],
};

/// All that kubexm sets up.
pub(crate) const ALL: [&RuntimeFacts; 3] = [&CONTAINERD, &CRIO, &DOCKER];

impl RuntimeFacts {
    pub(crate) fn units_of(&self) -> Vec<Resource> {
        let units = self.units.iter();
        units
            .map(|unit| Resource::Unit((*unit).to_owned()))
            .collect()
    }

    /// Whether containers of the one version run on under the other.
    #[must_use]
    pub fn takes_over(&self, from: &str, to: &str) -> bool {
        let count = match self.outlived {
            Outlived::Major => 1,
            Outlived::Minor => 2,
        };
        let numbers = |version: &str| -> Vec<String> {
            let digits = version.trim_start_matches('v').split('.');
            digits.take(count).map(str::to_owned).collect()
        };
        numbers(from) == numbers(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_outlive_some_changes_of_their_runtime() {
        for (runtime, from, to, outlive) in [
            (&CONTAINERD, "1.7.27", "1.7.34", true),
            (&CONTAINERD, "v2.1.4", "2.3.0", true),
            (&CONTAINERD, "1.7.34", "v2.1.9", false),
            (&CRIO, "1.36.1", "1.36.3", true),
            (&CRIO, "1.35.6", "1.36.3", false),
            (&DOCKER, "28.5.1", "28.5.2+dfsg1", true),
            (&DOCKER, "28.5.1", "29.0.0", false),
        ] {
            assert_eq!(runtime.takes_over(from, to), outlive, "{from} {to}");
        }
    }
}
