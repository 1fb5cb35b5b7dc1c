//! Several commands in one round trip.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Command, Host, HostError, Output, Redactor, quote};

/// Runs each by a shell of its own, and tells its stdout, then its stderr with its status, each in letters that the mark of an
/// end is not among. Nothing is written to a disk for it: a full one must not turn into a wrong answer.
const ASK: &str = r#"k() {
  e=$( { { sh -c "$1" </dev/null 4>&-; echo "=$?" >&2; } | base64 >&4 4>&-; } 2>&1 )
  echo .; printf '%s' "$e" | base64; echo .
}
"#;

/// How long a question takes that costs nothing but the processes for it, on a slow machine.
const EACH: Duration = Duration::from_millis(500);

/// Asks all of them one after another, in one command.
pub(crate) async fn ask(
    host: &impl Host,
    questions: &[Command],
    redactor: &Redactor,
) -> Result<Vec<Output>, HostError> {
    match questions {
        [] => Ok(Vec::new()),
        [one] => Ok(vec![host.run(one).await?]),
        many => {
            let command = command(many);
            let output = host.run(&command).await?;
            let mut answers = answers(&command, many.len(), &output)?;
            for answer in &mut answers {
                redactor.bytes(&mut answer.stderr);
            }
            Ok(answers)
        }
    }
}

/// The questions come by stdin: there may be more of them than a command line can hold.
fn command(questions: &[Command]) -> Command {
    let mut script = format!("{ASK}{{\n");
    for question in questions {
        // Writing to a string does not fail.
        let _ = writeln!(script, "k {}", quote(question.text()));
    }
    script.push_str("} 4>&1\n");
    let longest = questions.iter().map(Command::limit).max();
    let all = EACH * u32::try_from(questions.len()).unwrap_or(u32::MAX);
    Command::script("eval \"$(cat)\"")
        .as_root()
        .stdin(script)
        .timeout(longest.unwrap_or_default() + all)
}

fn answers(command: &Command, count: usize, output: &Output) -> Result<Vec<Output>, HostError> {
    let unusable = |why: String| HostError::Answer {
        command: command.brief(),
        why,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut parts: VecDeque<&str> = text.split('.').collect();
    // What is behind the last end is nothing.
    if parts.len() != 2 * count + 1 {
        return Err(unusable(format!(
            "{count} questions were asked, {} answered",
            parts.len() / 2
        )));
    }
    let mut answers = Vec::with_capacity(count);
    while let (Some(stdout), Some(stderr)) = (parts.pop_front(), parts.pop_front()) {
        let answer = decoded(stdout).zip(decoded(stderr)).and_then(answer);
        answers.push(answer.ok_or_else(|| unusable("its answer is damaged".to_owned()))?);
    }
    Ok(answers)
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = part
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD.decode(letters).ok()
}

/// The status stands behind what the command said on stderr.
fn answer((stdout, mut stderr): (Vec<u8>, Vec<u8>)) -> Option<Output> {
    let at = stderr.iter().rposition(|byte| *byte == b'=')?;
    let status = std::str::from_utf8(&stderr[at + 1..]).ok()?.parse().ok()?;
    stderr.truncate(at);
    Some(Output {
        status,
        stdout,
        stderr,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::local::LocalHost;

    fn host() -> LocalHost {
        LocalHost::new("here", Redactor::new([SecretString::from("hunter2")]))
    }

    /// Without the number of the line: a script that goes alone stands behind what every script finds. And without what a
    /// shell around it has to say of a death.
    fn complaint(answer: &Output) -> String {
        let words = answer.last_words().replace("Killed", "");
        words.replace(|c: char| c.is_ascii_digit(), "")
    }

    #[tokio::test]
    async fn each_is_answered_as_if_it_were_asked_alone() {
        let questions = [
            "echo hello",
            "exit 3",
            "printf 'no\\0end' ; echo complaint >&2; printf 'x=7' >&2; false",
            "cat; echo nothing to read >&2",
            "k() { echo mine; }; k; set -e; unset PATH; false; echo not reached",
            "echo \"it's $((1 + 1)) . = $LC_ALL\"",
            "if",
            "kill -9 $$",
            "head -c 300000 /dev/zero",
            "echo hunter2 >&2",
            "sleep 1000 >/dev/null 2>&1 </dev/null & echo gone",
        ]
        .map(|script| Command::script(script).as_root());
        let host = host();
        let together = host.ask(&questions).await.unwrap();
        for (question, answer) in questions.iter().zip(&together) {
            let alone = host.run(question).await.unwrap();
            let text = question.text();
            assert_eq!(answer.status, alone.status, "{text}");
            assert!(answer.stdout == alone.stdout, "{text}");
            assert_eq!(complaint(answer), complaint(&alone), "{text}");
        }
        assert_eq!(together.len(), questions.len());
        assert_eq!(together[9].last_words(), "[secret]");
    }

    #[tokio::test]
    async fn more_of_them_than_a_command_line_holds() {
        let question = |number: usize| {
            let long = format!("# {}\necho {number}", "x".repeat(4096));
            Command::script(long).as_root()
        };
        let questions: Vec<Command> = (0..100).map(question).collect();
        let answers = host().ask(&questions).await.unwrap();
        let told: Vec<String> = answers.iter().map(Output::text).collect();
        let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(told, numbers);
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        let command = command(&[Command::new(["true"]), Command::new(["true"])]);
        let said = |stdout: &str| {
            let output = Output {
                status: 0,
                stdout: stdout.into(),
                stderr: Vec::new(),
            };
            answers(&command, 2, &output).unwrap_err().to_string()
        };
        insta::assert_snapshot!(said(".\nPTA=\n."), @r#"unexpected answer to eval "$(cat)": 2 questions were asked, 1 answered"#);
        insta::assert_snapshot!(said(".\nPTA=\n..PT\n."), @r#"unexpected answer to eval "$(cat)": its answer is damaged"#);
    }
}
