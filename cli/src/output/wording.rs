//! The sentences that bars, lines and the summary share.

use std::time::Duration;

use event::{Event, Outcome, StageOutcome, Unit};

use super::Paint;

/// `0.4s`, `12.3s`, `4m 05s`, `1h 02m`.
pub fn took(took: Duration) -> String {
    // Rounded first: 59.96 s is a minute, not `60.0s`.
    let tenths = (took.as_millis() + 50) / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{}s", tenths % 10),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `532 B`, `45.3 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    // In tenths, so that no float is needed.
    let mut tenths = u128::from(count) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    match unit {
        "B" => format!("{count} B"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// `etcd node2: start etcd`
pub fn place(unit: &Unit) -> String {
    match &unit.host {
        Some(host) => format!("{} {host}: {}", unit.stage, unit.title),
        None => format!("{}: {}", unit.stage, unit.title),
    }
}

/// What is said of a host, as it would be said of any other.
pub fn of_any_host(text: &str, host: Option<&str>) -> String {
    match host {
        Some(host) if !host.is_empty() => text.replace(host, "HOST"),
        _ => text.to_owned(),
    }
}

/// `etcd node2: members ... changed (12.3s): 3 of 5 steps`
pub fn task_finished(
    [stage, host, task]: [&str; 3],
    (changed, steps): (u64, u64),
    time: Duration,
    paint: Paint,
) -> String {
    let (outcome, time) = (paint.warn("changed"), took(time));
    format!(
        "{stage} {host}: {task} ... {outcome} ({time}): {changed} of {}",
        count(steps, "step")
    )
}

/// What several hosts have in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alike {
    Failed,
    Retried,
    Warned,
}

/// How many hosts are named at most.
const NAMED: usize = 5;

/// `etcd node2: start etcd ... FAILED on 2 other hosts as well: node3, node4`
pub fn as_well(unit: &Unit, alike: Alike, others: &[String], paint: Paint) -> String {
    let word = match alike {
        Alike::Failed => paint.bad("FAILED"),
        Alike::Retried => paint.warn("again"),
        Alike::Warned => paint.warn("warned"),
    };
    let hosts = match others {
        [one] => format!("{one} as well"),
        many => {
            let named = &many[..many.len().min(NAMED)];
            let more = if many.len() > NAMED { ", ..." } else { "" };
            let number = many.len();
            format!("{number} other hosts as well: {}{more}", named.join(", "))
        }
    };
    format!("{} ... {word} on {hosts}", place(unit))
}

/// `etcd node2: start etcd ... changed (1.2s): it is not running`
pub fn finished(unit: &Unit, outcome: &Outcome, time: Duration, paint: Paint) -> String {
    let (place, time) = (place(unit), took(time));
    match outcome {
        Outcome::Satisfied => format!("{place} ... {} ({time})", paint.good("ok")),
        Outcome::Changed { reason } if reason.is_empty() => {
            format!("{place} ... {} ({time})", paint.warn("changed"))
        }
        Outcome::Changed { reason } => {
            format!("{place} ... {} ({time}): {reason}", paint.warn("changed"))
        }
        Outcome::Failed { error, hint } => format!(
            "{place} ... {} ({time})\n{}",
            paint.bad("FAILED"),
            trouble(error, hint.as_deref(), "    ", paint)
        ),
        Outcome::Interrupted => format!("{place} ... {} ({time})", paint.warn("interrupted")),
    }
}

/// An error and its hint below each other, indented.
pub fn trouble(error: &str, hint: Option<&str>, indent: &str, paint: Paint) -> String {
    let mut lines: Vec<String> = error
        .lines()
        .map(|line| format!("{indent}{line}"))
        .collect();
    lines.extend(hint.map(|hint| format!("{indent}{} {hint}", paint.hint("hint:"))));
    lines.join("\n")
}

/// `etcd: done (12.3s)`
pub fn stage_finished(stage: &str, outcome: StageOutcome, time: Duration, paint: Paint) -> String {
    let outcome = match outcome {
        StageOutcome::Satisfied => paint.good("ok"),
        StageOutcome::Changed => paint.good("done"),
        StageOutcome::Failed => paint.bad("FAILED"),
        StageOutcome::Skipped => paint.warn("skipped"),
    };
    format!("{}: {outcome} ({})", paint.bold(stage), took(time))
}

/// What is said of an event that concerns no unit of work; none for those that are not spoken of by themselves.
pub fn remark(event: &Event, paint: Paint) -> Option<String> {
    match event {
        Event::RunStarted {
            command, cluster, ..
        } => Some(format!("{} {cluster}", paint.bold(command))),
        Event::StageFinished {
            stage,
            outcome,
            took,
        } => Some(stage_finished(stage, *outcome, *took, paint)),
        Event::Warning { message, hint } => {
            let mut text = format!("{} {message}", paint.warn("warning:"));
            if let Some(hint) = hint {
                text = format!("{text}\n    {} {hint}", paint.hint("hint:"));
            }
            Some(text)
        }
        Event::Note { message } => Some(message.clone()),
        Event::Skipped { unit, because } => Some(format!(
            "{} ... {}: {because}",
            place(unit),
            paint.dim("skipped")
        )),
        _ => None,
    }
}

/// `etcd node2: start etcd ... again in 2.0s (attempt 2): connection reset`
pub fn retrying(unit: &Unit, attempt: u32, error: &str, delay: Duration, paint: Paint) -> String {
    let delay = took(delay);
    format!(
        "{} ... {} in {delay} (attempt {attempt}): {error}",
        place(unit),
        paint.warn("again")
    )
}

/// `etcd node2: start etcd ... again, as on node1`
pub fn retrying_alike(unit: &Unit, other: &str, paint: Paint) -> String {
    format!("{} ... {}, as on {other}", place(unit), paint.warn("again"))
}

/// `etcd node2: start etcd ... waits for 20.0s: it is not healthy yet`
pub fn waiting(unit: &Unit, for_what: &str, waited: Duration, paint: Paint) -> String {
    let (place, waits) = (place(unit), paint.warn("waits"));
    format!("{place} ... {waits} for {}: {for_what}", took(waited))
}

/// The end of a unit, with how often it was tried.
pub fn tried(text: String, tries: u32) -> String {
    if tries > 1 {
        format!("{text}\n    tried {tries} times")
    } else {
        text
    }
}

/// `warning: proof node1: certificates: apiserver.crt ends in 12 days`
pub fn doubt(unit: &Unit, warning: &str, paint: Paint) -> String {
    format!("{} {}: {warning}", paint.warn("warning:"), place(unit))
}

/// Marks the words by which `cluster` reports a problem.
pub fn problem(text: &str, paint: Paint) -> String {
    let mark = |line: &str| {
        if let Some(rest) = line.strip_prefix("error:") {
            format!("{}{rest}", paint.bad("error:"))
        } else if let Some(rest) = line.strip_prefix("warning:") {
            format!("{}{rest}", paint.warn("warning:"))
        } else if let Some(rest) = line.strip_prefix("  = hint:") {
            format!("  = {}{rest}", paint.hint("hint:"))
        } else {
            line.to_owned()
        }
    };
    text.trim_end()
        .lines()
        .map(mark)
        .collect::<Vec<_>>()
        .join("\n")
}

/// `1 host`, `3 hosts`
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_before_they_are_split() {
        let text = [0, 1_249, 59_949, 59_950, 245_000, 3_725_000]
            .map(|ms| took(Duration::from_millis(ms)));
        assert_eq!(
            text,
            ["0.0s", "1.2s", "59.9s", "1m 00s", "4m 05s", "1h 02m"]
        );
    }

    #[test]
    fn sizes_are_in_binary_units() {
        let text = [0, 1_023, 1_024, 47_500_000, 5 << 40].map(bytes);
        assert_eq!(text, ["0 B", "1023 B", "1.0 KiB", "45.3 MiB", "5.0 TiB"]);
    }
}
