use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use tokio::sync::Mutex;

use crate::{Command, Facts, FileAttrs, Host, HostError, Source, Way};

/// Several machines of which any will do: the first, in their order, that passes a test. It stays the choice until it
/// cannot be reached any more, or fails the test after a command that ended badly.
pub struct FirstOf {
    name: String,
    hosts: Vec<Arc<dyn Host>>,
    test: Command,
    chosen: Mutex<Choice>,
}

/// Which of the hosts it is, by its place.
#[derive(Clone, Copy, Default)]
enum Choice {
    #[default]
    None,
    Made(usize),
    /// It did not do what it was told, for a reason of its own or of the command's.
    Doubted(usize),
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
        let first = match *chosen {
            Choice::Made(at) => return Ok(self.hosts[at].clone()),
            Choice::Doubted(at) => Some(at),
            Choice::None => None,
        };
        *chosen = Choice::None;
        let mut refusals = Vec::new();
        let others = (0..self.hosts.len()).filter(|at| Some(*at) != first);
        for at in first.into_iter().chain(others) {
            let host = &self.hosts[at];
            match host.run(&self.test).await {
                Ok(output) if output.ok() => {
                    *chosen = Choice::Made(at);
                    return Ok(host.clone());
                }
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
            *self.chosen.lock().await = Choice::None;
        }
        result
    }

    /// A command may end badly because what the host passed the test with has ended since.
    async fn doubt(&self) {
        let mut chosen = self.chosen.lock().await;
        if let Choice::Made(at) = *chosen {
            *chosen = Choice::Doubted(at);
        }
    }
}

#[async_trait]
impl Host for FirstOf {
    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, command: &Command) -> Result<crate::Output, HostError> {
        let result = self.choice().await?.run(command).await;
        if matches!(&result, Ok(output) if !output.ok()) {
            self.doubt().await;
        }
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

    async fn ask(&self, questions: &[Command]) -> Result<Vec<crate::Output>, HostError> {
        let result = self.choice().await?.ask(questions).await;
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::Output;
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

    /// A host that passes the test and obeys as long as its apiserver lives.
    fn master(name: &'static str, lives: &Arc<AtomicBool>) -> Arc<FakeHost> {
        let lives = lives.clone();
        Arc::new(FakeHost::new(name).on_command(move |_, _| {
            let lives = lives.load(Ordering::Relaxed);
            Some(Ok(Output {
                status: u32::from(!lives),
                stdout: name.into(),
                stderr: Vec::new(),
            }))
        }))
    }

    #[tokio::test]
    async fn one_that_ends_a_command_badly_is_tested_again() {
        let lives = [true, true].map(|lives| Arc::new(AtomicBool::new(lives)));
        let hosts = [master("m1", &lives[0]), master("m2", &lives[1])];
        let tests = || {
            hosts
                .each_ref()
                .map(|host| host.transcript().matches("ready").count())
        };
        let any = any_of(&hosts);
        assert_eq!(asked(&any).await, "m1");
        lives[0].store(false, Ordering::Relaxed);
        let failed = any.run(&Command::new(["whoami"])).await.unwrap();
        assert!(!failed.ok());
        assert_eq!(asked(&any).await, "m2");
        assert_eq!(asked(&any).await, "m2");
        assert_eq!(tests(), [2, 1]);
    }

    #[tokio::test]
    async fn one_that_passes_the_test_again_stays_the_choice() {
        let m2 = FakeHost::new("m2")
            .on("whoami", 0, "m2")
            .on("no such", 1, "");
        let m1 = Arc::new(FakeHost::new("m1").on("ready", 1, ""));
        let hosts = [m1.clone(), Arc::new(m2)];
        let any = any_of(&hosts);
        for _ in 0..2 {
            any.run(&Command::new(["no such"])).await.unwrap();
        }
        assert_eq!(asked(&any).await, "m2");
        // Whoever is in doubt is tested first, and the others are left in peace.
        assert_eq!(m1.transcript().matches("ready").count(), 1);
        assert_eq!(hosts[1].transcript().matches("ready").count(), 3);
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
