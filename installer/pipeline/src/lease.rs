use cluster::{Cluster, Role};
use engine::{Claim, StaleLease};

/// On so many hosts the lease is kept: one of them may be down.
const KEPT_ON: usize = 3;

/// With what a run asks to be the only one at work on a cluster.
pub struct Leasing {
    pub(crate) claim: Claim,
    pub(crate) stale: StaleLease,
    pub(crate) hosts: Vec<String>,
}

impl Leasing {
    #[must_use]
    pub fn of(cluster: &Cluster, claim: Claim, stale: StaleLease) -> Self {
        Self {
            claim,
            stale,
            hosts: lease_hosts(cluster),
        }
    }
}

/// Masters first, then members of etcd, then all others, in the order of the config. Of two hosts that must be asked none may be
/// down: one alone is better then.
fn lease_hosts(cluster: &Cluster) -> Vec<String> {
    let by_role = [Role::Master, Role::Etcd].into_iter();
    let by_role = by_role.flat_map(|role| cluster.hosts_in(role));
    let mut hosts: Vec<String> = Vec::new();
    for host in by_role.chain(&cluster.spec.hosts) {
        if !hosts.contains(&host.name) {
            hosts.push(host.name.clone());
        }
    }
    hosts.truncate(if hosts.len() < KEPT_ON { 1 } else { KEPT_ON });
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(roles: &str, names: &[&str]) -> Vec<String> {
        let hosts: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| format!("{{name: {name}, address: 10.0.0.{}}}", at + 1))
            .collect();
        let text = format!(
            "apiVersion: kubexm.mensylisir.io/v1alpha1\nkind: Cluster\nmetadata: {{name: c}}\nspec:\n  hosts: [{}]\n  \
             roleGroups: {{{roles}}}\n",
            hosts.join(", ")
        );
        lease_hosts(&cluster::parse("config.yaml", &text).unwrap().cluster)
    }

    #[test]
    fn it_is_kept_where_the_cluster_begins() {
        let roles = "etcd: [e1, e2, e3], master: [m1], worker: [w1]";
        let names = ["w1", "e1", "e2", "e3", "m1"];
        assert_eq!(hosts(roles, &names), ["m1", "e1", "e2"]);
        let roles = "etcd: [a], master: [a], worker: [b]";
        assert_eq!(hosts(roles, &["a", "b"]), ["a"]);
        assert_eq!(hosts(roles, &["b", "a", "c"]), ["a", "b", "c"]);
    }
}
