use std::collections::HashMap;
use std::time::Duration;

use event::{Unit, UnitId};

use super::wording;

/// What was said of units in trouble, so that the same is said once.
#[derive(Default)]
pub struct Repeats {
    tries: HashMap<UnitId, Tries>,
    /// For how long a unit had waited when that was told last.
    waits: HashMap<UnitId, Duration>,
    /// What was told in full, and of which host.
    told: HashMap<Complaint, String>,
}

struct Tries {
    count: u32,
    /// Why the last one was not the last.
    why: String,
}

/// How much there is to say of one more try.
#[derive(Debug, PartialEq, Eq)]
pub enum Novelty {
    /// All of it.
    New,
    /// The same was told of this other host.
    As(String),
    /// Nothing: it is as with the try before.
    None,
}

/// A trouble as it would be on any host.
#[derive(PartialEq, Eq, Hash)]
struct Complaint {
    title: String,
    error: String,
}

impl Repeats {
    /// A try of this unit failed, and another follows.
    pub fn retried(&mut self, unit: &Unit, error: &str) -> Novelty {
        let why = numberless(error);
        let known = self.tries.get_mut(&unit.id).map(|tries| {
            tries.count += 1;
            std::mem::replace(&mut tries.why, why.clone()) == why
        });
        match known {
            Some(true) => return Novelty::None,
            Some(false) => {}
            None => {
                self.tries.insert(unit.id, Tries { count: 1, why });
            }
        }
        let host = unit.host.as_deref().unwrap_or_default();
        match self.told_of(unit, host, error) {
            Some(other) if other != host => Novelty::As(other),
            _ => Novelty::New,
        }
    }

    /// Whether it is worth a line that this unit still waits: after a while, and each time that it has doubled.
    pub fn waits(&mut self, id: UnitId, waited: Duration) -> bool {
        const LONG: Duration = Duration::from_secs(10);
        let due = self.waits.get(&id).map_or(LONG, |told| *told * 2);
        if waited < due {
            return false;
        }
        self.waits.insert(id, waited);
        true
    }

    /// How often the unit was tried before it ended.
    pub fn ended(&mut self, id: UnitId) -> u32 {
        self.waits.remove(&id);
        self.tries.remove(&id).map_or(1, |tries| tries.count + 1)
    }

    fn told_of(&mut self, unit: &Unit, host: &str, error: &str) -> Option<String> {
        let said = Complaint {
            title: wording::of_any_host(&unit.title, Some(host)),
            error: wording::of_any_host(error, Some(host)),
        };
        let before = self.told.get(&said).cloned();
        if before.is_none() {
            self.told.insert(said, host.to_owned());
        }
        before
    }
}

/// An error without its numbers: how often, how long and when it was tried makes no other trouble.
fn numberless(error: &str) -> String {
    let words = error.split_whitespace().map(|word| {
        let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        if bare.starts_with(|c: char| c.is_ascii_digit()) {
            "#"
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: u64, host: &str) -> Unit {
        Unit {
            id: UnitId(id),
            stage: "proof".into(),
            host: Some(host.into()),
            task: None,
            title: "all system pods are Ready".into(),
            bytes: None,
            after: None,
        }
    }

    #[test]
    fn what_differs_by_numbers_alone_is_the_same() {
        let mut repeats = Repeats::default();
        let m1 = unit(1, "m1");
        let waits = |times: u32| format!("coredns waits, restarted {times} times (back-off 5m0s)");
        assert_eq!(repeats.retried(&m1, &waits(3)), Novelty::New);
        assert_eq!(repeats.retried(&m1, &waits(4)), Novelty::None);
        assert_eq!(repeats.retried(&m1, "node2 is not Ready"), Novelty::New);
        assert_eq!(repeats.retried(&m1, "node3 is not Ready"), Novelty::New);
        assert_eq!(repeats.ended(UnitId(1)), 5);
        assert_eq!(repeats.ended(UnitId(1)), 1);
    }

    #[test]
    fn a_wait_is_told_ever_more_rarely() {
        let mut repeats = Repeats::default();
        let told: Vec<u64> = (0..100)
            .filter(|seconds| repeats.waits(UnitId(1), Duration::from_secs(*seconds)))
            .collect();
        assert_eq!(told, [10, 20, 40, 80]);
    }

    #[test]
    fn what_was_told_of_another_host_is_told_by_its_name() {
        let mut repeats = Repeats::default();
        let (m1, m2) = (unit(1, "m1"), unit(2, "m2"));
        assert_eq!(repeats.retried(&m1, "m1 does not answer"), Novelty::New);
        let alike = Novelty::As("m1".into());
        assert_eq!(repeats.retried(&m2, "m2 does not answer"), alike);
    }
}
