//! Contestants take turns, so that whatever else the machine does hits all of them.

use std::fmt::Debug;

use anyhow::{Context, Result};
use camino::Utf8Path;

use crate::measure::{Cost, measure};

/// One act, done by kubexm and by others.
pub trait Contest {
    fn title(&self) -> String;

    /// kubexm is the first.
    fn contestants(&self) -> Vec<String>;

    /// Clears away what the run before left, and gives the command to be measured.
    fn begin(&mut self, who: usize) -> Result<Vec<String>>;

    /// Whether the act was done right, and the size of the file it made, if it made one.
    fn end(&mut self, who: usize) -> Result<Option<u64>>;
}

/// How a contestant did: medians.
#[derive(Clone, Debug)]
pub struct Score {
    pub name: String,
    pub cost: Cost,
    pub size: Option<u64>,
}

/// Holds all rounds of a contest; every run is told on stderr.
pub fn hold(contest: &mut dyn Contest, rounds: u8, log: &Utf8Path) -> Result<Vec<Score>> {
    let names = contest.contestants();
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); names.len()];
    let mut sizes: Vec<Option<u64>> = vec![None; names.len()];
    eprintln!("{}", contest.title());
    for round in 0..usize::from(rounds) {
        for turn in 0..names.len() {
            // Each has every place in the order in some round.
            let who = (round + turn) % names.len();
            let command = contest.begin(who)?;
            // What others wrote shall not be written to the disk at this one's expense.
            rustix::fs::sync();
            let cost = measure(&command, log)?;
            sizes[who] = contest
                .end(who)
                .with_context(|| format!("what {} did", names[who]))?;
            eprintln!(
                "  round {}  {:<36} {:>7.2} s {:>7.2} s cpu {:>5} MiB",
                round + 1,
                names[who],
                cost.wall.as_secs_f64(),
                cost.cpu.as_secs_f64(),
                cost.memory >> 20,
            );
            costs[who].push(cost);
        }
    }
    let scores = names.into_iter().zip(costs).zip(sizes);
    Ok(scores
        .map(|((name, costs), size)| Score {
            name,
            cost: Cost {
                wall: median(costs.iter().map(|cost| cost.wall)),
                cpu: median(costs.iter().map(|cost| cost.cpu)),
                memory: median(costs.iter().map(|cost| cost.memory)),
            },
            size,
        })
        .collect())
}

fn median<T: Ord + Default + Copy + Debug>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
