use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, HostError};

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must, refused};

/// Enables a systemd unit and has it running with the files that are on the host now. A digest of those files, noted
/// when the service was last started, tells whether it must be restarted: so a run killed between a new file and the
/// restart is mended by the next, and an unchanged service is left alone.
pub struct RunService {
    pub unit: &'static str,
    /// Everything the service reads at its start: its unit, its configuration, its program.
    pub reads: Vec<Utf8PathBuf>,
}

/// Longer than systemd itself waits for any of the units.
const PATIENCE: Duration = Duration::from_mins(5);

/// Where the digests are noted.
pub(crate) const NOTES: &str = "/var/lib/kubexm/services";

impl RunService {
    fn digest(&self) -> String {
        let files: Vec<String> = self
            .reads
            .iter()
            .map(|path| host::quote(path.as_str()))
            .collect();
        format!("cat {} | sha256sum | cut -d' ' -f1", files.join(" "))
    }

    /// Has systemd do this with the unit, and notes the files that it is done with.
    pub(crate) fn script(&self, verb: &str) -> String {
        let unit = host::quote(self.unit);
        format!(
            "mkdir -p {NOTES} && digest=$({}) && systemctl daemon-reload && systemctl --force enable {unit} && \
             systemctl {verb} {unit} && printf '%s\\n' \"$digest\" > {NOTES}/{unit}",
            self.digest()
        )
    }

    /// Must be done before the unit is enabled or started.
    pub(crate) async fn note_former(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[self.resource()]).await
    }

    pub(crate) fn resource(&self) -> Resource {
        Resource::Unit(self.unit.to_owned())
    }

    pub(crate) async fn is_active(&self, cx: &Cx) -> Result<bool, StepError> {
        let ask_for = Command::new(["systemctl", "is-active", self.unit]);
        Ok(ask(cx, ask_for).await?.text() == "active")
    }

    /// Has systemd do this with the unit; a failure comes with what the service said last.
    pub(crate) async fn bring_up(&self, cx: &Cx, verb: &str) -> Result<(), StepError> {
        self.note_former(cx).await?;
        let start = Command::script(self.script(verb)).timeout(PATIENCE);
        match cx.host.run(&start.as_root()).await {
            Ok(output) if output.ok() => Ok(()),
            Ok(output) => {
                let error = refused(&format!("start {}", self.unit), &output);
                Err(with_last_lines(cx, self.unit, error.to_string()).await)
            }
            Err(HostError::Timeout { limit, .. }) => {
                let (unit, limit) = (self.unit, limit.as_secs());
                let error = format!("{unit} was not up within {limit} s");
                Err(with_last_lines(cx, self.unit, error).await)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A start that failed, with what the service said last.
pub(crate) async fn with_last_lines(cx: &Cx, unit: &str, error: String) -> StepError {
    let lines = ["--lines", "60", "--output", "cat"];
    let mut argv = vec!["journalctl", "--no-pager", "--unit", unit];
    argv.extend(lines);
    let told = match ask(cx, Command::new(argv)).await {
        Ok(log) if log.ok() && !log.text().is_empty() => {
            let lines = said_last(&log.text()).join("\n");
            format!("{error}\nits last lines:\n{lines}")
        }
        _ => error,
    };
    StepError::new(told).with_hint(format!(
        "on the host: systemctl status {unit}; journalctl -u {unit}"
    ))
}

/// The last lines of a log, each once: those that differ by numbers alone, as by the time, are the same.
fn said_last(log: &str) -> Vec<String> {
    const LINES: usize = 10;
    let mut said: Vec<(String, &str, usize)> = Vec::new();
    for line in log.lines().rev() {
        let words: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        match said.iter().position(|(known, ..)| *known == words) {
            Some(at) => said[at].2 += 1,
            None if said.len() < LINES => said.push((words, line, 1)),
            None => break,
        }
    }
    let told = said.iter().rev().map(|(_, line, times)| match times {
        1 => (*line).to_owned(),
        _ => format!("{line} ({times} times)"),
    });
    told.collect()
}

/// Notes that the service is not well with what it was started with: it is to be started anew, before any other.
pub(crate) async fn note_unwell(cx: &Cx, unit: &str) -> Result<(), StepError> {
    let note = host::quote(&format!("{NOTES}/{unit}"));
    let script = format!("echo unwell > {note}");
    must(
        cx,
        "note that the service is not well",
        Command::script(script),
    )
    .await
    .map(drop)
}

#[async_trait]
impl Step for RunService {
    fn id(&self) -> String {
        format!("service {}", self.unit)
    }

    fn describe(&self) -> String {
        format!("run {}", self.unit)
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.reads)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let unit = host::quote(self.unit);
        let script = format!(
            "[ \"$(systemctl is-enabled {unit} 2>/dev/null)\" = enabled ] || {{ echo is not enabled; exit; }}; \
             [ \"$(systemctl is-active {unit} 2>/dev/null)\" = active ] || {{ echo is not running; exit; }}; \
             [ \"$({})\" = \"$(cat {NOTES}/{unit} 2>/dev/null)\" ] || echo runs with older files",
            self.digest()
        );
        let output = ask(cx, Command::script(script)).await?;
        Ok(match output.text() {
            reason if reason.is_empty() => State::Satisfied,
            reason => State::needed(reason),
        })
    }

    /// One that was never started with known files is still being set up. One that was, and is down, takes its turn: it may be
    /// the one that what is new has brought down.
    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        let noted = Command::new(["test", "-e", &format!("{NOTES}/{}", self.unit)]);
        Ok(ask(cx, noted).await?.ok())
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.bring_up(cx, "restart").await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::step(
            format!("stop {}", self.unit),
            vec![self.resource()],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_again_and_again_is_told_once() {
        let again = (0..50)
            .map(|at| format!("E1130 23:58:25.{at:06} 8915 kubelet.go:3531] \"node not found\""));
        let log: Vec<String> =
            ["I1130 23:57:00.1 8915 server.go:1] \"Started kubelet\"".to_owned()]
                .into_iter()
                .chain(again)
                .collect();
        let said = said_last(&log.join("\n"));
        assert_eq!(said.len(), 2);
        assert!(said[0].ends_with("\"Started kubelet\""), "{said:?}");
        assert!(
            said[1].ends_with("000049 8915 kubelet.go:3531] \"node not found\" (50 times)"),
            "{said:?}"
        );
        let many: Vec<String> = ('a'..='z').map(String::from).collect();
        assert_eq!(said_last(&many.join("\n")), many[16..]);
    }
}
