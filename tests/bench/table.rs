//! The result, a line for each thing measured.

use std::fmt;
use std::time::Duration;

use crate::contest::Score;

/// Closer than this is no difference, on a machine that does other things as well.
const EVEN: f64 = 0.03;

#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
}

struct Line {
    labels: [String; 3],
    ours: String,
    theirs: String,
    ratio: f64,
}

impl Line {
    fn wins(&self) -> &'static str {
        match self.ratio {
            ratio if ratio < 1.0 - EVEN => "kubexm",
            ratio if ratio > 1.0 + EVEN => "peer",
            _ => "even",
        }
    }
}

impl Table {
    /// kubexm's score is the first.
    pub fn add(&mut self, title: &str, scores: &[Score]) {
        let [ours, peers @ ..] = scores else { return };
        let mut title = title.to_owned();
        for peer in peers {
            let mut name = peer.name.clone();
            let mut add = |measure: &str, ours: (String, f64), theirs: (String, f64)| {
                self.lines.push(Line {
                    labels: [
                        std::mem::take(&mut title),
                        std::mem::take(&mut name),
                        measure.to_owned(),
                    ],
                    ours: ours.0,
                    theirs: theirs.0,
                    ratio: ours.1 / theirs.1,
                });
            };
            add("time", seconds(ours.cost.wall), seconds(peer.cost.wall));
            add("cpu", seconds(ours.cost.cpu), seconds(peer.cost.cpu));
            if let (Some(ours), Some(theirs)) = (ours.size, peer.size) {
                add("size", megabytes(ours), megabytes(theirs));
            }
            add(
                "memory",
                mebibytes(ours.cost.memory),
                mebibytes(peer.cost.memory),
            );
        }
    }
}

fn seconds(time: Duration) -> (String, f64) {
    let seconds = time.as_secs_f64();
    (format!("{seconds:.2} s"), seconds)
}

#[allow(clippy::cast_precision_loss, reason = "three digits of it are shown")]
fn megabytes(bytes: u64) -> (String, f64) {
    (format!("{:.1} MB", bytes as f64 / 1e6), bytes as f64)
}

#[allow(clippy::cast_precision_loss, reason = "three digits of it are shown")]
fn mebibytes(bytes: u64) -> (String, f64) {
    (format!("{} MiB", bytes >> 20), bytes as f64)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["act", "peer", "measure"];
        let width = |column: usize| {
            let cells = self.lines.iter().map(|line| line.labels[column].len());
            cells.chain([heads[column].len()]).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        let mut row = |labels: [&str; 3], ours: &str, theirs: &str, ratio: &str, wins: &str| {
            for (label, width) in labels.iter().zip(widths) {
                write!(f, "{label:<width$}  ")?;
            }
            writeln!(f, "{ours:>10}  {theirs:>10}  {ratio:>11}  {wins}")
        };
        row(heads, "kubexm", "peer", "kubexm/peer", "wins")?;
        for line in &self.lines {
            let [act, peer, measure] = &line.labels;
            let ratio = format!("{:.2}", line.ratio);
            row(
                [act, peer, measure],
                &line.ours,
                &line.theirs,
                &ratio,
                line.wins(),
            )?;
        }
        Ok(())
    }
}
