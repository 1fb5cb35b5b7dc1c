//! Times as systemd's `OnCalendar=` takes them, for what happens again and again: no year, no single second of a year's life,
//! and no day that never comes. What passes here is a schedule to systemd as well; a test asks it.

use super::forms::is_timezone;

const SHORTHANDS: &[&str] = &[
    "minutely",
    "hourly",
    "daily",
    "monthly",
    "weekly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// How many days a month has at most.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// `Mon..Fri *-*-1,15 03:00 UTC`: days of the week, a date, a time and a zone, in this order and each of them optional.
pub(super) fn is_schedule(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut words = words.as_slice();
    if let [rest @ .., last] = words
        && !rest.is_empty()
        && is_zone(last)
    {
        words = rest;
    }
    if let [word] = words
        && SHORTHANDS.contains(&word.to_ascii_lowercase().as_str())
    {
        return true;
    }
    let mut seen = 0;
    for part in [is_weekdays, is_date, is_time] {
        if let [first, rest @ ..] = words
            && part(first)
        {
            words = rest;
            seen += 1;
        }
    }
    words.is_empty() && seen > 0
}

fn is_zone(word: &str) -> bool {
    word == "UTC" || word.contains('/') && is_timezone(word)
}

fn is_weekdays(word: &str) -> bool {
    let number = |name: &str| {
        let name = name.to_ascii_lowercase();
        let mut days = WEEKDAYS.iter();
        days.position(|day| name == *day || name == day[..3])
    };
    word.split(',').all(|item| match item.split_once("..") {
        Some((from, to)) => match (number(from), number(to)) {
            (Some(from), Some(to)) => from <= to,
            _ => false,
        },
        None => number(item).is_some(),
    })
}

fn is_date(word: &str) -> bool {
    let from_end = word.contains('~');
    let word = word.replacen('~', "-", 1);
    let parts: Vec<&str> = word.split('-').collect();
    let (month, day) = match parts.as_slice() {
        ["*", month, day] | [month, day] => (*month, *day),
        _ => return false,
    };
    let Some(months) = values(month, 1, 12) else {
        return false;
    };
    if from_end {
        // Every month has these. A step would go towards its beginning.
        return !day.contains('/') && values(day, 1, 28).is_some();
    }
    let Some(days) = values(day, 1, 31) else {
        return false;
    };
    months.iter().any(|month| {
        let last = DAYS[*month as usize - 1];
        days.iter().any(|day| *day <= last)
    })
}

fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let within = |part: &str, last| values(part, 0, last).is_some();
    match parts.as_slice() {
        [hour, minute] => within(hour, 23) && within(minute, 59),
        [hour, minute, second] => within(hour, 23) && within(minute, 59) && within(second, 59),
        _ => false,
    }
}

/// What `*`, `3`, `1,15`, `8..18`, `0/15` and `8..18/2` stand for; none where it is none of these, or not within the limits.
fn values(text: &str, lowest: u32, highest: u32) -> Option<Vec<u32>> {
    if text == "*" {
        return Some((lowest..=highest).collect());
    }
    let mut all = Vec::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once("..") {
            Some((from, to)) => (number(from)?, Some(number(to)?)),
            None => (number(range)?, None),
        };
        let last = to.unwrap_or(if step.is_some() { highest } else { from });
        let first_again = from.checked_add(step.unwrap_or(0))?;
        let sound = from >= lowest && last <= highest && step != Some(0) && first_again <= last;
        if !sound || to.is_some_and(|to| to <= from) {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        all.extend((from..=last).step_by(step));
    }
    Some(all)
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const GOOD: &[&str] = &[
        "daily",
        "Hourly",
        "weekly UTC",
        "03:00",
        "3:0",
        "*:0/15",
        "*:*:0/10",
        "*-*-* 00/12:00:00",
        "*-*-* 03,15:30",
        "Mon..Fri 03:00",
        "Sun",
        "mon,Wednesday *-*-1..7 4:30 Europe/Berlin",
        "*-*~3 3:00",
        "02-29 3:00",
        "*-1/3-1 3:00",
        "8..18/2:00",
        "*-*-* 8..18:00:00",
        "*-*-31",
    ];

    /// The second half is what systemd would take as well, and what would happen once or never.
    const BAD: &[&str] = &[
        "",
        "sometimes",
        "every 12h",
        "12h",
        "0 3 * * *",
        "@daily",
        "*",
        "3",
        "*/5",
        "*/2:00",
        "25:00",
        "3:60",
        "*-13-01",
        "Fri..Mon 3:00",
        "Mon.. 3:00",
        "5..3:00",
        "1..40:00",
        "0/0:00",
        "*-*-31/2 3:00",
        "*-*-* 1/24:00",
        "Mon 3",
        "3:00 Mon",
        "3:00 03:00",
        "daily 3:00",
        "3:00\nUTC",
        "UTC",
        "*-02-30",
        "*-4,6-31 3:00",
        "2019-01-01",
        "2030-01-01 3:00",
        "@1234567890",
        "3:00:00.5",
    ];

    #[test]
    fn what_comes_again_and_again_is_a_schedule() {
        for text in GOOD {
            assert!(is_schedule(text), "{text}");
        }
        for text in BAD {
            assert!(!is_schedule(text), "{text}");
        }
    }

    /// Whether systemd has a next time for it; none where this machine has none to ask.
    fn systemd_takes(text: &str) -> Option<bool> {
        let mut ask = Command::new("systemd-analyze");
        let answer = ask.args(["calendar", text]).output().ok()?;
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        Some(answer.status.success() && !said.contains("Next elapse: never"))
    }

    #[test]
    fn systemd_takes_whatever_is_taken_here() {
        let parts = [
            "*", "0", "7", "07", "1,15", "1..5", "0/3", "2/9", "1..5/2", "31", "12", "5..5", "24",
        ];
        let mut texts: Vec<String> = GOOD.iter().map(ToString::to_string).collect();
        for part in parts {
            texts.push(format!("{part}:00"));
            texts.push(format!("00:{part}"));
            texts.push(format!("00:00:{part}"));
            texts.push(format!("*-{part}-1"));
            texts.push(format!("*-*-{part}"));
            texts.push(format!("*-*~{part}"));
        }
        for text in texts.iter().filter(|text| is_schedule(text)) {
            match systemd_takes(text) {
                Some(taken) => assert!(taken, "{text}"),
                None => return,
            }
        }
    }
}
