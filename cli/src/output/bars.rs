use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use event::{Event, Outcome, Sink, Unit, UnitId};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::Timestamp;

use super::repeats::{Novelty, Repeats};
use super::{Paint, wording};

/// How many units are drawn at once; the others are counted in one line.
const VISIBLE: usize = 8;

/// How often clocks and spinners move on while nothing else happens.
pub const TICK: Duration = Duration::from_millis(150);

/// Live bars: a line per stage, below it one per running unit, and the whole run at the bottom. What ended with a
/// change or a failure stays above them as a line.
pub struct Bars {
    paint: Paint,
    state: Mutex<State>,
}

struct State {
    screen: MultiProgress,
    tick: Option<Duration>,
    stages: Vec<Stage>,
    units: BTreeMap<UnitId, Running>,
    /// The units that are drawn, from top to bottom.
    drawn: Vec<UnitId>,
    more: Option<ProgressBar>,
    run: Option<ProgressBar>,
    repeats: Repeats,
}

struct Stage {
    name: String,
    bar: ProgressBar,
    done: u64,
    failed: u64,
    running: u64,
}

struct Running {
    unit: Unit,
    bar: ProgressBar,
}

impl Bars {
    /// Draws onto this target. Without a tick it draws on events alone, which is what tests want.
    pub fn new(target: ProgressDrawTarget, tick: Option<Duration>, paint: Paint) -> Self {
        let state = State {
            screen: MultiProgress::with_draw_target(target),
            tick,
            stages: Vec::new(),
            units: BTreeMap::new(),
            drawn: Vec::new(),
            more: None,
            run: None,
            repeats: Repeats::default(),
        };
        Self {
            paint,
            state: Mutex::new(state),
        }
    }
}

/// A command that fails before its run ends leaves the screen to the reporter of errors.
impl Drop for Bars {
    fn drop(&mut self) {
        self.state
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .end_run();
    }
}

impl Sink for Bars {
    fn on(&self, _: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::RunStarted {
                command,
                cluster,
                units,
            } => {
                state.begin_run(format!("{command} {cluster}"), *units);
            }
            Event::StageStarted { stage } => state.begin_stage(stage),
            Event::Started(unit) => state.begin_unit(unit.clone()),
            Event::Progress { id, done, total } => {
                if let Some(running) = state.units.get(id) {
                    running.bar.set_position(*done);
                    if total.is_some() && running.bar.length() != *total {
                        running.bar.set_style(style(*total));
                        running.bar.set_length(total.unwrap_or_default());
                    }
                }
            }
            Event::Waiting { id, for_what, .. } => {
                if let Some(running) = state.units.get(id) {
                    let title = titled(&running.unit);
                    let what = for_what.lines().next().unwrap_or_default();
                    running.bar.set_message(format!("{title} ({what})"));
                }
            }
            Event::Retrying {
                id,
                attempt,
                error,
                delay,
            } => {
                state.again(*id, *attempt, error, *delay, self.paint);
            }
            Event::Seen { id, warning, .. } => {
                if let (Some(running), Some(warning)) = (state.units.get(id), warning) {
                    let text = wording::doubt(&running.unit, warning, self.paint);
                    state.say(&text);
                }
            }
            Event::Finished { id, outcome, took } => {
                let tries = state.repeats.ended(*id);
                if let Some(unit) = state.end_unit(*id, outcome)
                    && !matches!(outcome, Outcome::Satisfied)
                {
                    let text = wording::finished(&unit, outcome, *took, self.paint);
                    state.say(&wording::tried(text, tries));
                }
            }
            Event::StageFinished { stage, .. } => {
                state.end_stage(stage);
                state.remark(event, self.paint);
            }
            // The summary counts them by cause; hundreds of lines would push the cause itself off the screen.
            Event::Skipped { .. } => state.advance(),
            Event::Warning { .. } | Event::Note { .. } => state.remark(event, self.paint),
            Event::RunFinished { .. } => state.end_run(),
        }
    }
}

/// A unit as its bar calls it.
fn titled(unit: &Unit) -> String {
    match &unit.host {
        Some(host) if !unit.title.contains(host.as_str()) => format!("{host}: {}", unit.title),
        _ => unit.title.clone(),
    }
}

impl State {
    fn say(&self, text: &str) {
        // Whoever closed stderr does not want to know.
        let _ = self.screen.println(text);
    }

    fn remark(&self, event: &Event, paint: Paint) {
        if let Some(text) = wording::remark(event, paint) {
            self.say(&text);
        }
    }

    fn begin_run(&mut self, title: String, units: u64) {
        let bar = hidden(Some(units)).with_message(title);
        bar.set_style(template("{msg} [{bar:20}] {pos}/{len} {elapsed}"));
        let bar = self.screen.add(bar);
        self.live(&bar);
        self.run = Some(bar);
    }

    fn begin_stage(&mut self, name: &str) {
        let bar = hidden(None).with_prefix(name.to_owned());
        bar.set_style(template("{prefix:12} {wide_msg} {elapsed:>4}"));
        let bar = self.insert_above_run(bar);
        self.live(&bar);
        self.stages.push(Stage {
            name: name.to_owned(),
            bar,
            done: 0,
            failed: 0,
            running: 0,
        });
    }

    fn begin_unit(&mut self, unit: Unit) {
        let bar = hidden(unit.bytes);
        bar.set_style(style(unit.bytes));
        bar.set_message(titled(&unit));
        self.with_stage(&unit.stage, |stage| stage.running += 1);
        let id = unit.id;
        self.units.insert(id, Running { unit, bar });
        if self.drawn.len() < VISIBLE {
            self.draw(id);
        } else {
            self.count_hidden();
        }
    }

    /// The first line of why is on the unit's bar while it waits; above the bars it is said once.
    fn again(&mut self, id: UnitId, attempt: u32, error: &str, delay: Duration, paint: Paint) {
        let Some(Running { unit, bar }) = self.units.get(&id) else {
            return;
        };
        let why = error.lines().next().unwrap_or_default();
        bar.set_message(format!("{} (try {}: {why})", titled(unit), attempt + 1));
        let text = match self.repeats.retried(unit, error) {
            Novelty::None => return,
            Novelty::As(other) => wording::retrying_alike(unit, &other, paint),
            Novelty::New => wording::retrying(unit, attempt, error, delay, paint),
        };
        self.say(&text);
    }

    fn end_unit(&mut self, id: UnitId, outcome: &Outcome) -> Option<Unit> {
        let Running { unit, bar } = self.units.remove(&id)?;
        self.screen.remove(&bar);
        self.drawn.retain(|drawn| *drawn != id);
        let failed = matches!(outcome, Outcome::Failed { .. });
        self.with_stage(&unit.stage, |stage| {
            stage.running -= 1;
            stage.done += 1;
            stage.failed += u64::from(failed);
        });
        let next = self
            .units
            .keys()
            .find(|waiting| !self.drawn.contains(waiting))
            .copied();
        if let Some(next) = next.filter(|_| self.drawn.len() < VISIBLE) {
            self.draw(next);
        }
        self.count_hidden();
        self.advance();
        Some(unit)
    }

    fn end_stage(&mut self, name: &str) {
        let (ended, going) = std::mem::take(&mut self.stages)
            .into_iter()
            .partition(|s| s.name == name);
        self.stages = going;
        for Stage { bar, .. } in ended {
            self.screen.remove(&bar);
        }
    }

    fn end_run(&mut self) {
        let stages = self.stages.drain(..).map(|stage| stage.bar);
        let units = std::mem::take(&mut self.units)
            .into_values()
            .map(|running| running.bar);
        for bar in stages
            .chain(units)
            .chain(self.more.take())
            .chain(self.run.take())
        {
            self.screen.remove(&bar);
        }
        let _ = self.screen.clear();
    }

    fn advance(&self) {
        if let Some(run) = &self.run {
            run.inc(1);
        }
    }

    fn with_stage(&mut self, name: &str, change: impl FnOnce(&mut Stage)) {
        if let Some(stage) = self.stages.iter_mut().find(|stage| stage.name == name) {
            change(stage);
            let mut text = format!("{} done, {} running", stage.done, stage.running);
            if stage.failed > 0 {
                // Writing to a string does not fail.
                let _ = write!(text, ", {} failed", stage.failed);
            }
            stage.bar.set_message(text);
        }
    }

    /// Puts a unit's bar below the others of its stage.
    fn draw(&mut self, id: UnitId) {
        let Some(Running { unit, bar }) = self.units.get(&id) else {
            return;
        };
        let above = self.drawn.iter().rposition(|drawn| {
            self.units
                .get(drawn)
                .is_some_and(|running| running.unit.stage == unit.stage)
        });
        let stage = || self.stages.iter().find(|stage| stage.name == unit.stage);
        let place = above.map_or(self.drawn.len(), |at| at + 1);
        let neighbour = above
            .and_then(|at| self.units.get(&self.drawn[at]))
            .map(|running| &running.bar)
            .or_else(|| stage().map(|stage| &stage.bar));
        let bar = match neighbour {
            Some(neighbour) => self.screen.insert_after(neighbour, bar.clone()),
            None => self.insert_above_run(bar.clone()),
        };
        self.live(&bar);
        self.drawn.insert(place, id);
    }

    fn insert_above_run(&self, bar: ProgressBar) -> ProgressBar {
        match self.more.as_ref().or(self.run.as_ref()) {
            Some(below) => self.screen.insert_before(below, bar),
            None => self.screen.add(bar),
        }
    }

    fn count_hidden(&mut self) {
        match (self.units.len() - self.drawn.len(), self.more.take()) {
            (0, Some(more)) => self.screen.remove(&more),
            (0, None) => {}
            (hidden_units, more) => {
                let more = more.unwrap_or_else(|| {
                    let bar = hidden(None);
                    bar.set_style(template("  {msg}"));
                    self.insert_above_run(bar)
                });
                more.set_message(format!("and {hidden_units} more running"));
                self.more = Some(more);
            }
        }
    }

    fn live(&self, bar: &ProgressBar) {
        match self.tick {
            Some(tick) => bar.enable_steady_tick(tick),
            None => bar.tick(),
        }
    }
}

fn hidden(length: Option<u64>) -> ProgressBar {
    ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden())
}

fn style(bytes: Option<u64>) -> ProgressStyle {
    template(match bytes {
        Some(_) => "  {wide_msg} [{bar:10}] {moved:>19} {rate:>12} eta {eta:>4} {elapsed:>4}",
        None => "  {spinner} {wide_msg} {elapsed:>4}",
    })
}

/// ASCII only: site consoles are often serial lines with no locale.
fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .expect("the templates of this file are valid")
        .progress_chars("=> ")
        .tick_chars("|/-\\ ")
        .with_key("moved", |state: &ProgressState, out: &mut dyn Write| {
            let (done, total) = (state.pos(), state.len().unwrap_or_default());
            let _ = write!(out, "{}/{}", wording::bytes(done), wording::bytes(total));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            // No float of a rate is negative, and none worth drawing is beyond 2^64.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rate = state.per_sec() as u64;
            let _ = write!(out, "{}/s", wording::bytes(rate));
        })
}

#[cfg(test)]
mod tests;
