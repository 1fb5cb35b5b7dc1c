use cluster::Problem;
use serde::Serialize;

use super::{Exit, Failure};

/// The last line of `--output json`, if the command did not succeed.
#[derive(Debug, Serialize)]
pub struct ErrorEvent {
    event: &'static str,
    message: String,
    because: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What is wrong with a config, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemEntry>,
    exit: u8,
}

/// One thing that is wrong with a config, or that its writer should know.
#[derive(Debug, Serialize)]
pub struct ProblemEntry {
    severity: String,
    line: Option<usize>,
    column: Option<usize>,
    path: String,
    message: String,
    hint: Option<String>,
}

impl From<&Failure> for ErrorEvent {
    fn from(failure: &Failure) -> Self {
        let (message, problems) = match failure {
            Failure::Config(problems) => {
                let list = problems.list().iter().map(ProblemEntry::from).collect();
                ("the config has mistakes".to_owned(), list)
            }
            _ => (failure.to_string(), Vec::new()),
        };
        Self {
            event: "error",
            message,
            because: failure.because(),
            hint: failure.hint(),
            problems,
            exit: failure.exit() as u8,
        }
    }
}

/// What is wrong with a command line, without the usage below it.
pub fn words(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    what.trim_start_matches("error: ").to_owned()
}

/// A command line that is not understood.
impl From<&clap::Error> for ErrorEvent {
    fn from(error: &clap::Error) -> Self {
        Self {
            event: "error",
            message: words(error),
            because: Vec::new(),
            hint: None,
            problems: Vec::new(),
            exit: Exit::Usage as u8,
        }
    }
}

impl From<&Problem> for ProblemEntry {
    fn from(problem: &Problem) -> Self {
        Self {
            severity: problem.severity.to_string(),
            line: problem.location.as_ref().map(|place| place.line),
            column: problem.location.as_ref().map(|place| place.column),
            path: problem.path.to_string(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}
