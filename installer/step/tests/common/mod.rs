//! What the tests of this room share.
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod etcd_stage;
pub mod harbor;
pub mod layout;
pub mod site;
pub mod tokens;

use std::process::Command;
use std::sync::Arc;

use engine::{Cx, State, Step, StepError};
use event::Progress;
use host::Redactor;
use host::local::LocalHost;

/// The operator's machine.
pub fn operator() -> Cx {
    Cx::new(
        Arc::new(LocalHost::new("operator", Redactor::default())),
        Progress::unseen(),
    )
}

/// As the engine does it: check, apply where needed, check again. Says why there was something to do.
pub async fn converge(step: &dyn Step) -> Result<Option<String>, StepError> {
    let cx = operator();
    let State::Needed(reason) = step.check(&cx).await? else {
        return Ok(None);
    };
    step.apply(&cx).await?;
    assert_eq!(step.check(&cx).await?, State::Satisfied);
    Ok(Some(reason))
}

pub async fn reason(step: &dyn Step) -> String {
    match step.check(&operator()).await.unwrap() {
        State::Needed(reason) => reason,
        State::Satisfied => "satisfied".to_owned(),
    }
}

/// An error as a person sees it.
pub fn told(error: &StepError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

/// What a program of this machine prints; it must succeed.
pub fn said<'a>(argv: impl IntoIterator<Item = &'a str>) -> String {
    let mut argv = argv.into_iter();
    let output = Command::new(argv.next().unwrap())
        .args(argv)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
