use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use tokio::sync::Mutex;

use crate::{Command, Facts, FileAttrs, Host, HostError, Source, Way};

/// Several machines of which any will do: the first, in their order, that passes a test. It stays the choice until it
/// cannot be reached any more.
pub struct FirstOf {
    name: String,
    hosts: Vec<Arc<dyn Host>>,
    test: Command,
    chosen: Mutex<Option<Arc<dyn Host>>>,
}

impl FirstOf {
    /// `test` is what a host must answer with status 0 to be chosen.
    #[must_use]
    pub fn new(name: &str, hosts: Vec<Arc<dyn Host>>, test: Command) -> Self {
        Self {
            name: name.to_owned(),
            hosts,
            test,
            chosen: Mutex::default(),
        }
    }

    async fn choice(&self) -> Result<Arc<dyn Host>, HostError> {
        let mut chosen = self.chosen.lock().await;
        if let Some(host) = chosen.as_ref() {
            return Ok(host.clone());
        }
        let mut refusals = Vec::new();
        for host in &self.hosts {
            match host.run(&self.test).await {
                Ok(output) if output.ok() => return Ok(chosen.insert(host.clone()).clone()),
                Ok(output) => refusals.push(format!("{}: {}", host.name(), output.last_words())),
                Err(error) => refusals.push(format!("{}: {error}", host.name())),
            }
        }
        Err(HostError::Unreachable {
            address: self.name.clone(),
            why: refusals.join("; "),
        })
    }

    /// A choice that cannot be reached is none; whoever tries again gets the next.
    async fn judged<T>(&self, result: Result<T, HostError>) -> Result<T, HostError> {
        if matches!(
            result,
            Err(HostError::Unreachable { .. } | HostError::Lost { .. } | HostError::Timeout { .. })
        ) {
            *self.chosen.lock().await = None;
        }
        result
    }
}

#[async_trait]
impl Host for FirstOf {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, command: &Command) -> Result<crate::Output, HostError> {
        let result = self.choice().await?.run(command).await;
        self.judged(result).await
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        let host = self.choice().await?;
        let result = host.upload(source, to, attrs, progress).await;
        self.judged(result).await
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        let result = self.choice().await?.read(path).await;
        self.judged(result).await
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        let result = self.choice().await?.facts().await;
        self.judged(result).await
    }

    async fn way_to(&self, port: u16) -> Result<Way, HostError> {
        let result = self.choice().await?.way_to(port).await;
        self.judged(result).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    fn masters() -> [Arc<FakeHost>; 2] {
        ["m1", "m2"].map(|name| Arc::new(FakeHost::new(name).on("whoami", 0, name)))
    }

    fn any_of(hosts: &[Arc<FakeHost>]) -> FirstOf {
        let hosts = hosts.iter().map(|host| host.clone() as Arc<dyn Host>);
        FirstOf::new("(any)", hosts.collect(), Command::new(["ready"]))
    }

    async fn asked(any: &FirstOf) -> String {
        let answer = any.run(&Command::new(["whoami"])).await;
        answer.map_or_else(|error| error.to_string(), |output| output.text())
    }

    #[tokio::test]
    async fn the_first_that_answers_is_asked_until_it_is_gone() {
        let hosts = masters();
        let any = any_of(&hosts);
        assert_eq!(asked(&any).await, "m1");
        assert_eq!(asked(&any).await, "m1");
        assert_eq!(hosts[0].transcript().matches("ready").count(), 1);
        hosts[0].go_down();
        assert!(asked(&any).await.contains("m1"));
        assert_eq!(asked(&any).await, "m2");
    }

    #[tokio::test]
    async fn one_that_fails_the_test_is_passed_over() {
        let m1 = FakeHost::new("m1").on("ready", 1, "connection refused");
        let hosts = [Arc::new(m1), masters()[1].clone()];
        assert_eq!(asked(&any_of(&hosts)).await, "m2");
    }

    #[tokio::test]
    async fn all_refusals_are_told() {
        let hosts = masters();
        hosts[1].go_down();
        let m1 = Arc::new(FakeHost::new("m1").on("ready", 1, "connection refused"));
        let any = any_of(&[m1, hosts[1].clone()]);
        insta::assert_snapshot!(asked(&any).await, @"cannot reach (any): m1: connection refused; m2: cannot reach m2: the fake is down");
    }
}
