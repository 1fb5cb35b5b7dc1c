use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};
use host::Facts;
use jiff::Timestamp;
use serde::Serialize;

use super::observed::{Activity, asked};
use super::{MARKER, Observed};

/// Something that a host may carry, and how it is known there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    pub name: &'static str,
    /// The program with the argument by which it tells its version.
    pub program: &'static str,
    pub unit: Option<&'static str>,
    /// The file of the pod, where it runs as a static one.
    pub pod: Option<&'static str>,
}

impl Component {
    /// A program that runs only when it is called.
    #[must_use]
    pub const fn program(name: &'static str, program: &'static str) -> Self {
        Self {
            name,
            program,
            unit: None,
            pod: None,
        }
    }

    #[must_use]
    pub const fn service(name: &'static str, program: &'static str, unit: &'static str) -> Self {
        Self {
            unit: Some(unit),
            ..Self::program(name, program)
        }
    }

    /// A service, or a static pod of kubeadm.
    #[must_use]
    pub const fn of_masters(
        name: &'static str,
        program: &'static str,
        unit: &'static str,
        pod: &'static str,
    ) -> Self {
        Self {
            pod: Some(pod),
            ..Self::service(name, program, unit)
        }
    }
}

/// A host as it is.
#[derive(Clone, Debug, Serialize)]
pub struct HostSeen {
    /// The cluster that it belongs to.
    pub cluster: Option<String>,
    /// Since when it does.
    pub since: Option<Timestamp>,
    pub carries: Vec<Carried>,
    pub facts: Facts,
    pub observed: Observed,
}

/// A component on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Carried {
    pub component: &'static str,
    pub version: Option<String>,
    /// None: it is no service of the host.
    pub activity: Option<Activity>,
    pub since: Option<Timestamp>,
}

/// Looks at what a host is and carries.
pub struct LookAtHost {
    pub components: Vec<Component>,
    pub seen: Slot<HostSeen>,
}

impl LookAtHost {
    fn names(&self) -> Vec<[&'static str; 2]> {
        let mut names = vec![["since", MARKER]];
        for component in &self.components {
            names.push(["program", component.program]);
            names.extend(component.unit.map(|unit| ["unit", unit]));
            names.extend(component.pod.map(|pod| ["pod", pod]));
        }
        names
    }
}

/// What of this component is there.
fn carried(component: &Component, observed: &Observed) -> Option<Carried> {
    let program = component.program.split(' ').next()?;
    let unit = component.unit.and_then(|name| {
        let mut units = observed.units.iter();
        units.find(|unit| unit.name == name && !unit.file.is_empty())
    });
    let image = component.pod.and_then(|pod| observed.pods.get(pod));
    let says = observed.programs.get(program);
    if unit.is_none() && image.is_none() && says.is_none() {
        return None;
    }
    let version = match (image, says) {
        (Some(image), _) => image.rsplit_once(':').map(|(_, tag)| tag.to_owned()),
        (None, Some(says)) => version(says),
        (None, None) => None,
    };
    Some(Carried {
        component: component.name,
        version,
        activity: unit.map(|unit| unit.activity),
        since: unit.and_then(|unit| unit.since),
    })
}

/// The first word that looks like one: of `etcd Version: 3.5.30` the last.
pub(crate) fn version(says: &str) -> Option<String> {
    let words = says.split([' ', '/', '(', ')', ',']);
    let is_version = |word: &&str| {
        let digits = word.strip_prefix('v').unwrap_or(word);
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.')
    };
    words
        .filter(|word| !word.is_empty())
        .find(is_version)
        .map(str::to_owned)
}

#[async_trait]
impl Question for LookAtHost {
    fn id(&self) -> String {
        "look".to_owned()
    }

    fn describe(&self) -> String {
        "look at what the host is and carries".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.seen.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let facts = cx.host.facts().await?;
        let marker = cx.host.read(MARKER.into()).await?;
        let observed = asked(cx, self.names().into_flattened()).await?;
        let components = self.components.iter();
        self.seen.fill(HostSeen {
            cluster: marker.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
            since: observed.since.get(MARKER).copied(),
            carries: components
                .filter_map(|component| carried(component, &observed))
                .collect(),
            facts: Facts::clone(&facts),
            observed,
        });
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let said = [
            "Kubernetes v1.36.2",
            "etcd Version: 3.5.30",
            "containerd github.com/containerd/containerd/v2 v2.1.9 1c4457e",
            "runc version 1.1.15+ds1",
            "HAProxy version 3.0.11-1 2025/07/28 - https://haproxy.org/",
            "nginx version: nginx/1.26.3",
            "Keepalived v2.3.3 (03/30,2025)",
            "registry github.com/docker/distribution 2.8.3+debian",
            "it does not tell",
        ];
        let found = said.map(|says| version(says).unwrap_or_default());
        insta::assert_snapshot!(found.join("\n"), @r"
        v1.36.2
        3.5.30
        v2.1.9
        1.1.15+ds1
        3.0.11-1
        1.26.3
        v2.3.3
        2.8.3+debian
        ");
    }

    #[tokio::test]
    async fn a_host_tells_what_it_carries_and_since_when() {
        const KUBELET: Component = Component {
            name: "kubelet",
            program: "kubelet --version",
            unit: Some("kubelet.service"),
            pod: None,
        };
        const APISERVER: Component = Component {
            name: "kube-apiserver",
            program: "kube-apiserver --version",
            unit: Some("kube-apiserver.service"),
            pod: Some("/etc/kubernetes/manifests/kube-apiserver.yaml"),
        };
        let told = "@@kubexm clock\n1764490323 3600.50\n@@kubexm asked\n\
             since\t/etc/kubexm/cluster\t1764480000\nprogram\tkubelet\tKubernetes v1.36.2\n\
             unit\tkubelet.service\tActiveState=active\n\
             unit\tkubelet.service\tFragmentPath=/etc/systemd/system/kubelet.service\n\
             unit\tkubelet.service\tActiveEnterTimestampMonotonic=600500000\n\
             unit\tkube-apiserver.service\tActiveState=inactive\n\
             unit\tkube-apiserver.service\tFragmentPath=\n\
             pod\t/etc/kubernetes/manifests/kube-apiserver.yaml\tregistry.k8s.io/kube-apiserver:v1.36.2\n";
        let host = FakeHost::new("node1")
            .with_file(MARKER, "demo\n", 0o644)
            .on("observe", 0, told);
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        let look = LookAtHost {
            components: vec![KUBELET, APISERVER],
            seen: Slot::new("host"),
        };
        look.check(&cx).await.unwrap();
        let seen = look.seen.get().unwrap();
        assert_eq!(seen.cluster.as_deref(), Some("demo"));
        let json = serde_json::to_string_pretty(&seen.carries).unwrap();
        insta::assert_snapshot!(json, @r#"
        [
          {
            "component": "kubelet",
            "version": "v1.36.2",
            "activity": "at-work",
            "since": "2025-11-30T07:22:03Z"
          },
          {
            "component": "kube-apiserver",
            "version": "v1.36.2",
            "activity": null,
            "since": null
          }
        ]
        "#);
    }
}
