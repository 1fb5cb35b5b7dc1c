//! The run that left no report: it was killed, or goes on.

use camino::Utf8Path;
use jiff::Timestamp;
use pipeline::{Journal, JournalError, Record};

/// What the journal knows of a last run that has not ended, if it began after this time.
pub fn told(state: &Utf8Path, after: Option<Timestamp>) -> Result<Option<String>, JournalError> {
    let records = Journal::read(&state.join("journal.jsonl"))?;
    let begins = |record: &Record| matches!(record, Record::RunStarted { .. });
    let Some(first) = records.iter().rposition(begins) else {
        return Ok(None);
    };
    let (Record::RunStarted { at, plan, .. }, rest) = (&records[first], &records[first + 1..])
    else {
        return Ok(None);
    };
    let ended = rest
        .iter()
        .any(|record| matches!(record, Record::RunEnded { .. }));
    if ended || after.is_some_and(|after| *at <= after) {
        return Ok(None);
    }
    let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let doing = match open(rest).as_slice() {
        [] => String::new(),
        [one] => format!("; begun and not ended: {one}"),
        [first, others @ ..] => {
            format!("; begun and not ended: {first}, and {} more", others.len())
        }
    };
    Ok(Some(format!(
        "a later run has no report, for it was killed or goes on: {plan}, begun {at}{doing}"
    )))
}

/// The acts that were begun and have not ended, the last first.
fn open(records: &[Record]) -> Vec<&str> {
    let mut open: Vec<&str> = Vec::new();
    for record in records {
        match record {
            Record::Began { node, .. } => open.push(node),
            Record::Ended { node, .. } => open.retain(|other| other != node),
            _ => {}
        }
    }
    open.reverse();
    open
}
