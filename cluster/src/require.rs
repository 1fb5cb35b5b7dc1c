use crate::problem::{Problem, Problems, Severity};
use crate::{Cluster, KeyPath};

impl Cluster {
    /// What an installation needs beyond a bundle: hosts, and something for them to do.
    pub fn require_hosts(&self, source_name: &str) -> Result<(), Problems> {
        let mut problems = Vec::new();
        let mut need = |path: &str, message: &str, hint: &str| {
            problems.push(Problem {
                severity: Severity::Error,
                location: None,
                path: KeyPath::of(path),
                message: message.to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        if self.spec.hosts.is_empty() {
            need(
                "spec.hosts",
                "there are no hosts to install on",
                "list them under spec.hosts, or give a config that does with -f",
            );
        } else if self
            .spec
            .hosts
            .iter()
            .all(|host| self.roles_of(&host.name).is_empty())
        {
            need(
                "spec.roleGroups",
                "no host has a role",
                "say under spec.roleGroups what each host does",
            );
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems::new(source_name, problems))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_installation_needs_hosts_with_roles() {
        let mut cluster = crate::parse("c.yaml", crate::init_template())
            .unwrap()
            .cluster;
        assert!(cluster.require_hosts("c.yaml").is_ok());
        cluster.spec.role_groups = crate::RoleGroups::default();
        insta::assert_snapshot!(cluster.require_hosts("c.yaml").unwrap_err(), @r"
        error: no host has a role
         --> c.yaml (spec.roleGroups)
         = hint: say under spec.roleGroups what each host does

        1 error in c.yaml
        ");
        cluster.spec.hosts.clear();
        insta::assert_snapshot!(cluster.require_hosts("c.yaml").unwrap_err(), @r"
        error: there are no hosts to install on
         --> c.yaml (spec.hosts)
         = hint: list them under spec.hosts, or give a config that does with -f

        1 error in c.yaml
        ");
    }
}
