use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::{Command, HostError};

use crate::kube::cordon_node::by_hand;

/// Restarts a host, and waits until it answers from another boot.
pub struct RebootHost {
    /// By what the kernel names the boot that followed; full once that was in this run.
    pub boot: Slot<String>,
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Servers with much memory take their time before the system even begins.
const PATIENCE: Duration = Duration::from_mins(20);
const ASK_EVERY: Duration = Duration::from_secs(3);

async fn boot_id(cx: &Cx) -> Result<String, HostError> {
    let output = cx.host.run(&Command::new(["cat", BOOT_ID])).await?;
    Ok(output.text().trim().to_owned())
}

#[async_trait]
impl Step for RebootHost {
    fn id(&self) -> String {
        "reboot".to_owned()
    }

    fn describe(&self) -> String {
        "restart the host".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.boot.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match self.boot.get() {
            Some(_) => State::Satisfied,
            None => State::needed("is to be restarted"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let before = boot_id(cx).await?;
        // The connection may end before the answer comes.
        let reboot = Command::script("sync; systemctl --no-block reboot").as_root();
        match cx.host.run(&reboot).await {
            Ok(output) if !output.ok() => {
                return Err(StepError::new(format!(
                    "cannot restart the host: {}",
                    output.last_words()
                )));
            }
            _ => {}
        }
        let look = || async {
            Ok(match boot_id(cx).await {
                Ok(now) if !now.is_empty() && now != before => {
                    self.boot.fill(now);
                    State::Satisfied
                }
                Ok(_) => State::needed("it is going down"),
                Err(_) => State::needed("it does not answer yet"),
            })
        };
        match cx.wait_until(PATIENCE, ASK_EVERY, look).await? {
            State::Satisfied => Ok(()),
            State::Needed(why) => Err(StepError::new(format!(
                "the host is not back after {} min: {why}",
                PATIENCE.as_secs() / 60
            ))
            .with_hint(format!(
                "look at its console; its node stays cordoned until it is back: {}",
                by_hand("NODE")
            ))),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::Output;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn a_host_is_back_when_it_answers_from_another_boot() {
        let mut boots = ["one", "two"].into_iter();
        let host = FakeHost::new("w1").on_command(move |command, _| {
            let id = command.text().contains("boot_id").then(|| boots.next())??;
            Some(Ok(Output {
                status: 0,
                stdout: id.into(),
                stderr: Vec::new(),
            }))
        });
        let host = Arc::new(host);
        let cx = Cx::new(host.clone(), Progress::unseen());
        let step = RebootHost {
            boot: Slot::new("the boot"),
        };
        assert_ne!(step.check(&cx).await.unwrap(), State::Satisfied);
        step.apply(&cx).await.unwrap();
        assert_eq!(step.check(&cx).await.unwrap(), State::Satisfied);
        assert_eq!(step.boot.get().unwrap(), "two");
        assert!(host.transcript().contains("systemctl --no-block reboot"));
    }
}
