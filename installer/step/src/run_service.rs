use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must, refused};

/// Enables a systemd unit and has it running with the files that are on the host now. A digest of those files, noted
/// when the service was last started, tells whether it must be restarted: so a run killed between a new file and the
/// restart is mended by the next, and an unchanged service is left alone.
pub struct RunService {
    pub unit: &'static str,
    /// Everything the service reads at its start: its unit, its configuration, its program.
    pub reads: Vec<Utf8PathBuf>,
}

/// Where the digests are noted.
const NOTES: &str = "/var/lib/kubexm/services";

impl RunService {
    fn digest(&self) -> String {
        let files: Vec<String> = self
            .reads
            .iter()
            .map(|path| host::quote(path.as_str()))
            .collect();
        format!("cat {} | sha256sum | cut -d' ' -f1", files.join(" "))
    }
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

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let unit = host::quote(self.unit);
        let start = format!(
            "mkdir -p {NOTES} && digest=$({}) && systemctl daemon-reload && systemctl enable {unit} && \
             systemctl restart {unit} && printf '%s\\n' \"$digest\" > {NOTES}/{unit}",
            self.digest()
        );
        let output = ask(cx, Command::script(start)).await?;
        if output.ok() {
            return Ok(());
        }
        let log = format!("journalctl --no-pager --lines 5 --output cat --unit {unit}");
        let log = must(cx, "read the journal", Command::script(log))
            .await
            .map(|log| log.text());
        let error = refused(&format!("start {}", self.unit), &output);
        Err(match log {
            Ok(log) if !log.is_empty() => {
                StepError::new(format!("{error}\nits last lines:\n{log}"))
            }
            _ => error,
        }
        .with_hint(format!(
            "on the host: systemctl status {0}; journalctl -u {0}",
            self.unit
        )))
    }
}
