use std::collections::BTreeMap;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

use crate::local_file;
use crate::pki::share;
use crate::preflight::{KeptAuthority, MARKER};

/// An authority as a host has it.
#[derive(Clone, Debug)]
pub struct FoundAuthority {
    pub kept: KeptAuthority,
    pub bytes: Vec<u8>,
}

/// Reads the certificates of the authorities that a host of the cluster has.
pub struct LookAtAuthorities {
    pub cluster: String,
    pub kept: Vec<KeptAuthority>,
    pub found: Slot<Vec<FoundAuthority>>,
}

#[async_trait]
impl Question for LookAtAuthorities {
    fn id(&self) -> String {
        "look at authorities".to_owned()
    }

    fn describe(&self) -> String {
        "look at the authorities of its cluster".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.found.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let mark = cx.host.read(MARKER.into()).await?;
        let mark = mark.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        match mark {
            Some(cluster) if cluster == self.cluster => {}
            Some(other) => {
                return Err(StepError::new(format!(
                    "it belongs to the cluster '{other}' ({MARKER}), not to '{}'",
                    self.cluster
                ))
                .with_hint("correct the host's address or metadata.name in the config"));
            }
            None => {
                return Err(StepError::new(format!(
                    "it belongs to no cluster of kubexm: there is no {MARKER}"
                ))
                .with_hint("adopt is for clusters that kubexm has installed"));
            }
        }
        let mut found = Vec::new();
        for kept in &self.kept {
            if let Some(bytes) = cx.host.read(&kept.path).await? {
                let kept = kept.clone();
                found.push(FoundAuthority { kept, bytes });
            }
        }
        self.found.fill(found);
        Ok(State::Satisfied)
    }
}

/// Refuses to go on where the hosts do not agree, where none of them has an authority that the cluster must have, or where
/// the work directory has another one already.
pub struct CompareAuthorities {
    pub kept: Vec<KeptAuthority>,
    pub found: Vec<(String, Slot<Vec<FoundAuthority>>)>,
}

impl CompareAuthorities {
    fn findings(&self) -> Result<Vec<String>, StepError> {
        let mut first: BTreeMap<&Utf8PathBuf, (&str, &FoundAuthority)> = BTreeMap::new();
        let mut findings = Vec::new();
        for (host, slot) in &self.found {
            for found in slot.get().into_iter().flatten() {
                let (other, earlier) = *first.entry(&found.kept.local).or_insert((host, found));
                if !share(&earlier.bytes, &found.bytes) {
                    findings.push(format!(
                        "{host} and {other} have not the same {}",
                        found.kept.path
                    ));
                }
            }
        }
        for kept in &self.kept {
            let local = &kept.local;
            match (first.get(local), local_file::read(local)?) {
                (Some((host, found)), Some(ours)) if !share(&ours, &found.bytes) => {
                    findings.push(format!(
                        "{local} is there, and is not what {host} has as {}",
                        found.kept.path
                    ));
                }
                (None, None) => {
                    findings.push(format!("no host that can be asked has {}", kept.path));
                }
                _ => {}
            }
        }
        findings.dedup();
        Ok(findings)
    }
}

#[async_trait]
impl Question for CompareAuthorities {
    fn id(&self) -> String {
        "compare authorities".to_owned()
    }

    fn describe(&self) -> String {
        "compare the authorities of the hosts and of this work directory".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let findings = self.findings()?;
        if findings.is_empty() {
            return Ok(State::Satisfied);
        }
        Err(StepError::new(format!(
            "this work directory cannot be made from these hosts; nothing was written\n  {}",
            findings.join("\n  ")
        ))
        .with_hint(
            "an authority that is there is never overwritten: take another --work-dir, or move what is in the way away",
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use camino::Utf8Path;
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    fn kept(dir: &Utf8Path) -> Vec<KeptAuthority> {
        ["ca", "front-proxy-ca"]
            .map(|name| KeptAuthority {
                local: dir.join(format!("{name}.crt")),
                path: format!("/etc/kubernetes/pki/{name}.crt").into(),
            })
            .into()
    }

    async fn looked(
        name: &str,
        files: &[(&str, &str)],
        kept: &[KeptAuthority],
    ) -> Slot<Vec<FoundAuthority>> {
        let host = files.iter().fold(
            FakeHost::new(name).with_file(MARKER, "demo\n", 0o644),
            |host, (path, text)| {
                let path = format!("/etc/kubernetes/pki/{path}");
                host.with_file(&path, (*text).to_owned(), 0o644)
            },
        );
        let look = LookAtAuthorities {
            cluster: "demo".to_owned(),
            kept: kept.to_vec(),
            found: Slot::new(name),
        };
        let cx = Cx::new(Arc::new(host), Progress::unseen());
        look.check(&cx).await.unwrap();
        look.found
    }

    async fn compared(dir: &Utf8Path, hosts: &[&[(&str, &str)]]) -> String {
        let kept = kept(dir);
        let mut found = Vec::new();
        for (at, files) in hosts.iter().enumerate() {
            let name = format!("m{}", at + 1);
            let slot = looked(&name, files, &kept).await;
            found.push((name, slot));
        }
        // And one that could not be looked at.
        found.push(("m9".to_owned(), Slot::new("m9")));
        let compare = CompareAuthorities { kept, found };
        let cx = Cx::new(Arc::new(FakeHost::new("(operator)")), Progress::unseen());
        match compare.check(&cx).await {
            Ok(_) => String::new(),
            Err(error) => error.to_string().replace(dir.as_str(), "certs"),
        }
    }

    #[tokio::test]
    async fn nothing_is_written_over_and_nothing_is_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let whole: &[(&str, &str)] = &[("ca.crt", "A"), ("front-proxy-ca.crt", "F")];
        assert_eq!(compared(dir, &[whole, whole]).await, "");
        let other: &[(&str, &str)] = &[("ca.crt", "B")];
        insta::assert_snapshot!(compared(dir, &[whole, other]).await, @r"
        this work directory cannot be made from these hosts; nothing was written
          m2 and m1 have not the same /etc/kubernetes/pki/ca.crt
        ");
        insta::assert_snapshot!(compared(dir, &[other]).await, @r"
        this work directory cannot be made from these hosts; nothing was written
          no host that can be asked has /etc/kubernetes/pki/front-proxy-ca.crt
        ");
        std::fs::write(dir.join("ca.crt"), "A").unwrap();
        assert_eq!(
            compared(dir, &[whole]).await,
            "",
            "what is there already is the same"
        );
        std::fs::write(dir.join("ca.crt"), "C").unwrap();
        insta::assert_snapshot!(compared(dir, &[whole]).await, @r"
        this work directory cannot be made from these hosts; nothing was written
          certs/ca.crt is there, and is not what m1 has as /etc/kubernetes/pki/ca.crt
        ");
    }

    #[tokio::test]
    async fn a_host_of_another_cluster_or_of_none_is_refused() {
        let refused = async |host: FakeHost| {
            let look = LookAtAuthorities {
                cluster: "demo".to_owned(),
                kept: Vec::new(),
                found: Slot::new("m1"),
            };
            let cx = Cx::new(Arc::new(host), Progress::unseen());
            look.check(&cx).await.unwrap_err().to_string()
        };
        let other = FakeHost::new("m1").with_file(MARKER, "other\n", 0o644);
        insta::assert_snapshot!(refused(other).await, @"it belongs to the cluster 'other' (/etc/kubexm/cluster), not to 'demo'");
        insta::assert_snapshot!(refused(FakeHost::new("m1")).await, @"it belongs to no cluster of kubexm: there is no /etc/kubexm/cluster");
    }
}
