use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// A kernel parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    pub key: String,
    pub wanted: Wanted,
}

/// What a kernel parameter shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Exactly(u64),
    /// A limit. What somebody else needs more of stays.
    AtLeast(u64),
}

impl Wanted {
    pub(crate) const fn value(self) -> u64 {
        match self {
            Self::Exactly(value) | Self::AtLeast(value) => value,
        }
    }

    /// Whether this is right as it is. What is no number is none of ours.
    pub(crate) fn is_met_by(self, found: &str) -> bool {
        let found = found.parse::<u64>().ok();
        match self {
            Self::Exactly(value) => found == Some(value),
            Self::AtLeast(value) => found.is_some_and(|found| found >= value),
        }
    }
}

/// Sets kernel parameters now; [`crate::KeepSysctls`] does it at boot.
pub struct ApplySysctls {
    pub settings: Vec<Sysctl>,
}

fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

/// What the kernel has for each of these, in their order; nothing where it does not know it.
pub(crate) async fn found(cx: &Cx, settings: &[Sysctl]) -> Result<Vec<String>, StepError> {
    let reads: Vec<String> = settings
        .iter()
        .map(|sysctl| {
            format!(
                "cat {} 2>/dev/null || echo",
                host::quote(&path(&sysctl.key))
            )
        })
        .collect();
    let answer = ask(cx, Command::script(reads.join("; "))).await?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    let lines = answer.lines().map(|line| line.trim().to_owned());
    let lines = lines.chain(std::iter::repeat(String::new()));
    Ok(lines.take(settings.len()).collect())
}

impl ApplySysctls {
    fn resources(&self) -> Vec<Resource> {
        let keys = self.settings.iter().map(|sysctl| sysctl.key.clone());
        keys.map(Resource::Sysctl).collect()
    }

    async fn differing(&self, cx: &Cx) -> Result<Vec<&Sysctl>, StepError> {
        let found = found(cx, &self.settings).await?;
        let pairs = self.settings.iter().zip(&found);
        let differing = pairs.filter(|(sysctl, found)| !sysctl.wanted.is_met_by(found));
        Ok(differing.map(|(sysctl, _)| sysctl).collect())
    }
}

#[async_trait]
impl Step for ApplySysctls {
    fn id(&self) -> String {
        "sysctls".to_owned()
    }

    fn describe(&self) -> String {
        format!("set {} kernel parameters", self.settings.len())
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.settings)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let differing = self.differing(cx).await?;
        let keys: Vec<&str> = differing.iter().map(|sysctl| sysctl.key.as_str()).collect();
        Ok(if keys.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} differ", keys.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &self.resources()).await?;
        let writes: Vec<String> = self
            .differing(cx)
            .await?
            .into_iter()
            .map(|Sysctl { key, wanted }| {
                let (value, path) = (wanted.value(), host::quote(&path(key)));
                format!("echo {value} > {path}")
            })
            .collect();
        must(
            cx,
            "set kernel parameters",
            Command::script(writes.join(" && ")),
        )
        .await?;
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("restore {} kernel parameters", self.settings.len());
        Some(TakeBack::step(title, self.resources()))
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    fn settings() -> Vec<Sysctl> {
        let sysctl = |key: &str, wanted| Sysctl {
            key: key.to_owned(),
            wanted,
        };
        vec![
            sysctl("net.ipv4.ip_forward", Wanted::Exactly(1)),
            sysctl("vm.max_map_count", Wanted::AtLeast(262_144)),
        ]
    }

    #[tokio::test]
    async fn a_limit_is_only_raised() {
        let step = ApplySysctls {
            settings: settings(),
        };
        let with = |answer: &str| {
            let host = Arc::new(FakeHost::new("node1").on("cat /proc/sys", 0, answer));
            let progress = Progress::unseen();
            (host.clone(), Cx::new(host, progress))
        };
        let (_, more) = with("1\n1048576\n");
        assert_eq!(step.check(&more).await.unwrap(), State::Satisfied);
        let (host, forwards_not) = with("0\n1048576\n");
        let needed = State::needed("net.ipv4.ip_forward differ");
        assert_eq!(step.check(&forwards_not).await.unwrap(), needed);
        step.apply(&forwards_not).await.unwrap();
        let done = host.transcript();
        assert!(
            done.contains("echo 1 > /proc/sys/net/ipv4/ip_forward"),
            "{done}"
        );
        assert!(!done.contains("> /proc/sys/vm"), "{done}");
        let (_, less) = with("1\n65530\n");
        let needed = State::needed("vm.max_map_count differ");
        assert_eq!(step.check(&less).await.unwrap(), needed);
        let (_, unknown) = with("1\n\n");
        assert_eq!(step.check(&unknown).await.unwrap(), needed);
    }
}
