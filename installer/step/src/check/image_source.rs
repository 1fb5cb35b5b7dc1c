use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Question, State, StepError};
use host::Command;

use crate::shell::ask;

/// A node has no other source of images than the site's: one that the world has and the bundle has not cannot be pulled.
pub struct ProveImageSource {
    /// Small, public for ever, and not in the bundle: the site's registry answers that there is no such image.
    pub stranger: String,
    /// How the runtime says that the site's registry has no such image, or that nobody is asked for it.
    pub refusals: &'static [&'static str],
    /// Where to look if it could be pulled.
    pub look: &'static str,
}

const CRICTL: &str = "/usr/local/bin/crictl";
/// What a shell and timeout say of a program that is not there.
const NO_PROGRAM: u32 = 127;
const PULL_TIMEOUT: Duration = Duration::from_secs(30);

#[async_trait]
impl Question for ProveImageSource {
    fn id(&self) -> String {
        "prove image source".to_owned()
    }

    fn describe(&self) -> String {
        "images come from the site alone".to_owned()
    }

    fn inputs(&self) -> String {
        self.stranger.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let image = host::quote(&self.stranger);
        let limit = PULL_TIMEOUT.as_secs();
        // What came after all does not stay.
        let script = format!(
            "timeout {limit} {CRICTL} pull {image}; pulled=$?\n\
             [ $pulled -ne 0 ] || {CRICTL} rmi {image} >/dev/null 2>&1\n\
             exit $pulled"
        );
        let pull = Command::script(script).timeout(PULL_TIMEOUT * 2);
        let output = ask(cx, pull).await?;
        if output.ok() {
            return Err(StepError::new(format!(
                "{} is not in the bundle, and yet it could be pulled",
                self.stranger
            ))
            .with_hint(format!("on the node: {}", self.look)));
        }
        let words = output.last_words();
        if output.status == NO_PROGRAM {
            return Err(StepError::new(format!("cannot ask the runtime: {words}")));
        }
        // Any other refusal is of a registry that was not asked, and may have the image.
        if !self.refusals.iter().any(|refusal| words.contains(refusal)) {
            return Err(StepError::new(format!(
                "whether the site's registry alone is asked for {} is not known: {words}",
                self.stranger
            ))
            .with_hint(
                "the registry should answer that it has no such image: does it run, and does the node reach it?",
            ));
        }
        cx.progress
            .seen(format!("{} is refused", self.stranger), None);
        Ok(State::Satisfied)
    }
}
