use std::fmt;

use crate::places::Places;
use crate::problem::{Problem, Problems};
use crate::source::Source;
use crate::tree::Span;

/// The text that a config was read from, for whoever finds more in it later.
#[derive(Clone)]
pub(crate) struct Written {
    pub name: String,
    pub text: String,
    pub secrets: Vec<Span>,
    pub places: Places,
}

impl Written {
    /// Gives each problem its place in the text.
    pub fn locate(&self, found: Vec<Problem>) -> Problems {
        let mut source = Source::new(&self.text);
        source.hide(self.secrets.iter().copied());
        let placed = found.into_iter().map(|problem| {
            let exact = self.places.get(&problem.path);
            let around = || self.places.nearest(&problem.path);
            let span = exact
                .map(|place| place.value)
                .or_else(|| around().map(|place| place.key));
            Problem {
                location: span.map(|span| source.locate(span)),
                path: exact.map_or(problem.path, |place| place.shown.clone()),
                ..problem
            }
        });
        Problems::new(&self.name, placed.collect())
    }
}

/// The text holds secrets.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({})", self.name)
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.text) == (&other.name, &other.text)
    }
}
