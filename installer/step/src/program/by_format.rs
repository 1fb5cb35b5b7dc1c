use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};

/// One act that is another on systems with dpkg than on systems with RPM: paths and names differ. Which it is, the host
/// says. Both have a counterpart, or neither has.
pub struct ByFormat {
    /// The sentence for both.
    pub name: String,
    pub deb: Arc<dyn Step>,
    pub rpm: Arc<dyn Step>,
}

impl ByFormat {
    async fn own(&self, cx: &Cx) -> Result<&dyn Step, StepError> {
        let facts = cx.host.facts().await?;
        let has_apt = facts.commands.iter().any(|command| command == "apt-get");
        Ok(if has_apt { &*self.deb } else { &*self.rpm })
    }
}

#[async_trait]
impl Step for ByFormat {
    fn id(&self) -> String {
        self.name.clone()
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn inputs(&self) -> String {
        let both = [&self.deb, &self.rpm];
        let both = both.map(|step| format!("{}\n{}", step.id(), step.inputs()));
        both.join("\n")
    }

    fn asks(&self) -> Asks {
        match (self.deb.asks(), self.rpm.asks()) {
            (Asks::Host, Asks::Host) => Asks::Host,
            _ => Asks::Anybody,
        }
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.own(cx).await?.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.own(cx).await?.apply(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(Self {
            name: format!("take back: {}", self.name),
            deb: self.deb.counterpart(data)?,
            rpm: self.rpm.counterpart(data)?,
        }))
    }
}
