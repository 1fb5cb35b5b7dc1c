//! What the programs of a bundle have to be content with.

use catalogue::{Glibc, Systems};
use cluster::{Arch, Cluster, Host, Os};

/// The oldest glibc that machines of an architecture may have, by the systems that the config names; none where it names
/// none for them.
pub(crate) fn oldest_glibc(cluster: &Cluster, systems: &Systems, arch: Arch) -> Option<Glibc> {
    let hosts = cluster.spec.hosts.iter();
    let mut hosts = hosts.filter(|host| host.arch == arch).peekable();
    let glibc = |os: &Os| Some(systems.system(os)?.glibc());
    if hosts.peek().is_none() {
        return cluster.spec.system.os.iter().filter_map(glibc).min();
    }
    let named = hosts.flat_map(|host: &Host| cluster.systems_of(host));
    named.filter_map(glibc).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_system_of_an_architecture_decides() {
        let text = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  system: {os: [debian-13]}
  hosts:
    - {name: a, address: 10.0.0.1}
    - {name: b, address: 10.0.0.2, os: rocky-8}
    - {name: c, address: 10.0.0.3, os: ubuntu-22.04}
";
        let cluster = cluster::parse("c.yaml", text).unwrap().cluster;
        let systems = Systems::builtin();
        let oldest = |cluster, arch| oldest_glibc(cluster, &systems, arch);
        assert_eq!(oldest(&cluster, Arch::Amd64), Some("2.28".parse().unwrap()));
        // No host has it: it is bundled for machines of the cluster's own systems.
        assert_eq!(oldest(&cluster, Arch::Arm64), Some("2.41".parse().unwrap()));
        let silent = text.replace("  system: {os: [debian-13]}\n", "");
        let silent = silent
            .replace(", os: rocky-8", "")
            .replace(", os: ubuntu-22.04", "");
        let silent = cluster::parse("c.yaml", &silent).unwrap().cluster;
        assert_eq!(oldest(&silent, Arch::Amd64), None);
    }
}
