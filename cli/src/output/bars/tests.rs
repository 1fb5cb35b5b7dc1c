use indicatif::InMemoryTerm;

use super::super::script;
use super::*;

/// The screen after the first `events` of a script.
fn screen(script: Vec<(Timestamp, Event)>, events: usize) -> String {
    let term = InMemoryTerm::new(24, 100);
    let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
    let bars = Bars::new(target, None, Paint::Plain);
    for (at, event) in script.into_iter().take(events) {
        bars.on(at, &event);
    }
    timeless(&term.contents())
}

/// Leaves out what depends on the clock: rate, time left, time gone.
fn timeless(screen: &str) -> String {
    let lines = screen.lines().map(|line| {
        let line = line.split_once(']').map_or(line.to_owned(), |(bar, rest)| {
            let mut still: Vec<&str> = rest
                .split_whitespace()
                .take_while(|word| !word.ends_with("B/s"))
                .collect();
            still.pop();
            format!("{bar}] {}", still.join(" "))
        });
        let gone = |word: &str| {
            word.strip_suffix('s')
                .is_some_and(|number| number.parse::<u32>().is_ok())
        };
        match line.rsplit_once(' ') {
            Some((rest, word)) if gone(word) => rest.trim_end().to_owned(),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn while_it_runs_stages_units_and_the_whole_run_are_drawn() {
    insta::assert_snapshot!(screen(script::troubled(), 15));
}

#[test]
fn what_changed_or_failed_stays_above_as_lines() {
    insta::assert_snapshot!(screen(script::troubled(), 18));
}

#[test]
fn no_bar_outlives_the_run() {
    insta::assert_snapshot!(screen(script::troubled(), usize::MAX));
}

#[test]
fn what_was_satisfied_leaves_no_line() {
    insta::assert_snapshot!(screen(script::untroubled(), usize::MAX));
}

#[test]
fn what_is_said_again_is_on_the_screen_once() {
    let screen = screen(script::unanswered(), usize::MAX);
    let lines = screen.lines().filter(|line| line.contains("again"));
    let lines: Vec<&str> = lines.collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_hundred_hosts_fit_on_the_screen() {
    insta::assert_snapshot!(screen(script::crowded(), usize::MAX));
}

#[test]
fn a_place_that_becomes_free_is_taken_by_the_next() {
    let mut script = script::crowded();
    let at = script.last().unwrap().0;
    let took = Duration::ZERO;
    script.push((
        at,
        Event::Finished {
            id: UnitId(2),
            outcome: Outcome::Satisfied,
            took,
        },
    ));
    let screen = screen(script, usize::MAX);
    assert!(!screen.contains("containerd to node3 "), "{screen}");
    assert!(screen.contains("containerd to node9 "), "{screen}");
    assert!(screen.contains("and 91 more running"), "{screen}");
}
