//! The small parts that pages are made of.

use std::time::Duration;

use maud::{Markup, html};

use super::model::{Span, State};
use crate::output::wording;

/// `4m 05s`, of milliseconds.
pub fn time(millis: u64) -> String {
    wording::took(Duration::from_millis(millis))
}

/// A state by its sign and its word.
pub fn state(state: State) -> Markup {
    html! {
        span.state.(state.class()) { span.sign aria-hidden="true" { (state.sign()) } " " (state.word()) }
    }
}

/// A part of a whole, as a style has it.
fn percent(part: u64, whole: u64) -> String {
    let parts = u128::from(part) * 100_000 / u128::from(whole.max(1));
    format!("{}.{:03}%", parts / 1000, parts % 1000)
}

/// A piece of a line of time.
pub struct Bar {
    pub span: Span,
    pub class: &'static str,
    pub title: String,
}

/// A line of time as long as the whole run.
pub fn strip(bars: &[Bar], total: u64) -> Markup {
    html! {
        div.strip {
            @for Bar { span, class, title } in bars {
                @let place = format!("left:{};width:{}", percent(span.from, total), percent(span.length(), total));
                span.bar.(class) style=(place) title=(title) {}
            }
        }
    }
}

/// The ends of the steps of an axis, in milliseconds.
const STEPS: [u64; 22] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
    300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000,
];

/// So many steps at most.
const MOST: u64 = 6;

/// How far apart the lines of an axis are.
fn step(total: u64) -> u64 {
    let fits = STEPS.into_iter().find(|step| total / step <= MOST);
    fits.unwrap_or(total / MOST + 1)
}

/// The lines behind all strips, as a style.
pub fn grid(total: u64) -> String {
    format!("--step:{}", percent(step(total), total))
}

/// The numbers above the strips.
pub fn axis(total: u64) -> Markup {
    let step = step(total);
    html! {
        div.axis {
            @for at in (0..=total / step).map(|number| number * step) {
                @let end = at > total - total / 14;
                span.tick.end[end] style=(format!("left:{}", percent(at, total))) { (tick(at)) }
            }
        }
    }
}

fn tick(millis: u64) -> String {
    let seconds = millis / 1000;
    match millis {
        0 => "0".to_owned(),
        1..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{seconds} s"),
        60_000..3_600_000 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60_000..3_600_000 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number of which nought is not worth a look.
pub fn number(count: u64) -> Markup {
    html! {
        @if count == 0 { span.nought { "0" } } @else { (grouped(count)) }
    }
}

/// `12,345`
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 host`, `12,345 hosts`
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_few_round_numbers() {
        for total in [
            1,
            9,
            80,
            999,
            4_321,
            61_000,
            3_599_000,
            86_400_000,
            u64::MAX / 200_000,
        ] {
            let step = step(total);
            assert!(total / step <= MOST, "{total}");
        }
        assert_eq!((step(60_000), step(245_000)), (10_000, 60_000));
        let labels = [0, 200, 15_000, 75_000, 120_000, 3_600_000, 5_400_000].map(tick);
        assert_eq!(
            labels,
            ["0", "200 ms", "15 s", "1:15", "2 min", "1 h", "1:30 h"]
        );
    }

    #[test]
    fn numbers_are_grouped_and_parts_are_parts() {
        assert_eq!(
            [7, 1_234, 1_234_567].map(grouped),
            ["7", "1,234", "1,234,567"]
        );
        assert_eq!(
            (percent(1, 3), percent(0, 0)),
            ("33.333%".into(), "0.000%".into())
        );
        assert_eq!(
            (counted(1, "host"), counted(5_000, "host")),
            ("1 host".into(), "5,000 hosts".into())
        );
    }
}
