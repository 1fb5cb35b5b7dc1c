//! What rpm packages say of each other: capabilities with ranges, and the boolean ("rich") relations made of them.
use std::fmt;

use super::version::{Evr, Operator, Range};

/// A name that packages provide, require, conflict with or obsolete: a package, a soname, a file; with a range perhaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    pub name: String,
    pub range: Option<Range>,
}

impl Capability {
    /// A name, of any version.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            range: None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.range
            .as_ref()
            .map_or(Ok(()), |range| write!(f, " {range}"))
    }
}

/// What must hold of the installed packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Some package has it.
    One(Capability),
    /// `(A and B)`
    All(Vec<Relation>),
    /// `(A or B)`
    Any(Vec<Relation>),
    /// `(A if B)`, `(A if B else C)`: B asks for A, its absence for C.
    If(Box<Conditional>),
    /// `(A unless B)`, `(A unless B else C)`: the absence of B asks for A and B must be absent, or else C is asked for.
    Unless(Box<Conditional>),
    /// `(A with B)`: one and the same package has both.
    With(Box<[Relation; 2]>),
    /// `(A without B)`: one package has the first and has not the second.
    Without(Box<[Relation; 2]>),
}

/// The parts of a conditional relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditional {
    pub then: Relation,
    pub condition: Relation,
    pub otherwise: Option<Relation>,
}

/// One thing that must hold: wherever every set of `when` has an installed package, one package of the sets of `any`
/// must be installed as well. Sets are relations of a single package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clause<'a> {
    pub any: Vec<&'a Relation>,
    pub when: Vec<&'a Relation>,
}

/// Real relations nest two or three deep; the limits keep a hostile one from filling the stack or the memory.
const DEEPEST: usize = 32;
const MOST_CLAUSES: usize = 4096;

impl Relation {
    /// Reads a relation as a spec file and metadata write it: `name`, `name >= 1.0` or `(A if B)`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            rest: text.trim_start(),
        };
        let relation = parser.relation(0)?;
        parser.rest.trim().is_empty().then_some(relation)
    }

    /// As an entry of metadata or a header has it: a boolean relation is written as the name.
    pub(super) fn of(entry: Capability) -> Self {
        let rich = entry
            .name
            .starts_with('(')
            .then(|| Self::parse(&entry.name));
        // What cannot be read is the name of something that no package has: who asks for it will be told.
        rich.flatten().unwrap_or(Self::One(entry))
    }

    /// The clauses which all hold if and only if the relation does. `None` if they are beyond measure.
    pub(super) fn holds(&self) -> Option<Vec<Clause<'_>>> {
        match self {
            Self::One(_) | Self::With(_) | Self::Without(_) => Some(vec![Clause {
                any: vec![self],
                when: Vec::new(),
            }]),
            Self::All(parts) => parts
                .iter()
                .try_fold(Vec::new(), |all, part| both(all, part.holds()?)),
            Self::Any(parts) => parts
                .iter()
                .try_fold(never(), |any, part| either(&any, &part.holds()?)),
            Self::If(parts) => {
                let then = either(&parts.then.holds()?, &parts.condition.fails()?)?;
                match &parts.otherwise {
                    None => Some(then),
                    Some(otherwise) => both(
                        then,
                        either(&otherwise.holds()?, &parts.condition.holds()?)?,
                    ),
                }
            }
            Self::Unless(parts) => match &parts.otherwise {
                None => both(parts.then.holds()?, parts.condition.fails()?),
                Some(otherwise) => both(
                    either(&parts.then.holds()?, &parts.condition.holds()?)?,
                    either(&otherwise.holds()?, &parts.condition.fails()?)?,
                ),
            },
        }
    }

    /// The clauses which all hold if and only if the relation does not.
    pub(super) fn fails(&self) -> Option<Vec<Clause<'_>>> {
        match self {
            Self::One(_) | Self::With(_) | Self::Without(_) => Some(vec![Clause {
                any: Vec::new(),
                when: vec![self],
            }]),
            Self::All(parts) => parts
                .iter()
                .try_fold(never(), |any, part| either(&any, &part.fails()?)),
            Self::Any(parts) => parts
                .iter()
                .try_fold(Vec::new(), |all, part| both(all, part.fails()?)),
            Self::If(parts) => match &parts.otherwise {
                None => both(parts.then.fails()?, parts.condition.holds()?),
                Some(otherwise) => both(
                    either(&parts.then.fails()?, &parts.condition.fails()?)?,
                    either(&otherwise.fails()?, &parts.condition.holds()?)?,
                ),
            },
            Self::Unless(parts) => {
                let then = either(&parts.then.fails()?, &parts.condition.holds()?)?;
                match &parts.otherwise {
                    None => Some(then),
                    Some(otherwise) => both(
                        then,
                        either(&otherwise.fails()?, &parts.condition.fails()?)?,
                    ),
                }
            }
        }
    }

    /// The capabilities that it is made of.
    pub(super) fn capabilities(&self) -> Vec<&Capability> {
        match self {
            Self::One(capability) => vec![capability],
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(Self::capabilities).collect()
            }
            Self::If(parts) | Self::Unless(parts) => [&parts.then, &parts.condition]
                .into_iter()
                .chain(&parts.otherwise)
                .flat_map(Self::capabilities)
                .collect(),
            Self::With(parts) | Self::Without(parts) => {
                parts.iter().flat_map(Self::capabilities).collect()
            }
        }
    }

    /// Whether it is a set of packages: one package by itself tells whether it belongs.
    fn is_set(&self) -> bool {
        match self {
            Self::One(_) => true,
            Self::Any(parts) => parts.iter().all(Self::is_set),
            Self::With(parts) | Self::Without(parts) => parts.iter().all(Self::is_set),
            Self::All(_) | Self::If(_) | Self::Unless(_) => false,
        }
    }
}

/// What cannot hold, to start a disjunction with: the empty clause.
fn never() -> Vec<Clause<'static>> {
    vec![Clause::default()]
}

fn both<'a>(mut left: Vec<Clause<'a>>, right: Vec<Clause<'a>>) -> Option<Vec<Clause<'a>>> {
    left.extend(right);
    (left.len() <= MOST_CLAUSES).then_some(left)
}

fn either<'a>(left: &[Clause<'a>], right: &[Clause<'a>]) -> Option<Vec<Clause<'a>>> {
    if left.len() * right.len() > MOST_CLAUSES {
        return None;
    }
    let pairs = left
        .iter()
        .flat_map(|one| right.iter().map(move |other| (one, other)));
    Some(
        pairs
            .map(|(one, other)| Clause {
                any: [one.any.as_slice(), &other.any].concat(),
                when: [one.when.as_slice(), &other.when].concat(),
            })
            .collect(),
    )
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn relation(&mut self, depth: usize) -> Option<Relation> {
        if depth > DEEPEST {
            return None;
        }
        let Some(inner) = self.rest.strip_prefix('(') else {
            return self.capability();
        };
        self.rest = inner.trim_start();
        let first = self.relation(depth + 1)?;
        let Some(operator) = self.operator() else {
            return self.close().map(|()| first);
        };
        let relation = match operator {
            "and" | "or" => {
                let mut parts = vec![first, self.relation(depth + 1)?];
                while let Some(next) = self.operator() {
                    if next != operator {
                        return None;
                    }
                    parts.push(self.relation(depth + 1)?);
                }
                if operator == "and" {
                    Relation::All(parts)
                } else {
                    Relation::Any(parts)
                }
            }
            "if" | "unless" => {
                let condition = self.relation(depth + 1)?;
                let otherwise = match self.operator() {
                    None => None,
                    Some("else") => Some(self.relation(depth + 1)?),
                    Some(_) => return None,
                };
                let parts = Box::new(Conditional {
                    then: first,
                    condition,
                    otherwise,
                });
                if operator == "if" {
                    Relation::If(parts)
                } else {
                    Relation::Unless(parts)
                }
            }
            "with" | "without" => {
                let mut left = first;
                let mut next = operator;
                loop {
                    let parts = [left, self.relation(depth + 1)?];
                    if !parts.iter().all(Relation::is_set) {
                        return None;
                    }
                    left = if next == "with" {
                        Relation::With(Box::new(parts))
                    } else {
                        Relation::Without(Box::new(parts))
                    };
                    match self.operator() {
                        None => break left,
                        Some(again @ ("with" | "without")) => next = again,
                        Some(_) => return None,
                    }
                }
            }
            _ => return None,
        };
        self.close().map(|()| relation)
    }

    fn operator(&mut self) -> Option<&'a str> {
        let word = self.rest.trim_start();
        let end = word
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(word.len());
        if end == 0 {
            return None;
        }
        self.rest = word[end..].trim_start();
        Some(&word[..end])
    }

    fn close(&mut self) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(')')?;
        Some(())
    }

    fn capability(&mut self) -> Option<Relation> {
        let name = self.word()?.to_owned();
        let symbol_end = self
            .rest
            .find(|c| !"<>=".contains(c))
            .unwrap_or(self.rest.len());
        if symbol_end == 0 {
            return Some(Relation::One(Capability { name, range: None }));
        }
        let operator = Operator::from_symbol(&self.rest[..symbol_end])?;
        self.rest = self.rest[symbol_end..].trim_start();
        let bound: Evr = self.word()?.parse().ok()?;
        Some(Relation::One(Capability {
            name,
            range: Some(Range { operator, bound }),
        }))
    }

    /// Up to a space, a comma or a parenthesis that closes more than the word itself opened: `libc.so.6(GLIBC_2.34)(64bit)`.
    fn word(&mut self) -> Option<&'a str> {
        let mut open = 0_usize;
        let end = self.rest.find(|c: char| match c {
            '(' => {
                open += 1;
                false
            }
            ')' if open == 0 => true,
            ')' => {
                open -= 1;
                false
            }
            _ => c.is_whitespace() || c == ',',
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            f.write_str("(")?;
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                part.fmt(f)?;
            }
            f.write_str(")")
        };
        let conditional = |f: &mut fmt::Formatter<'_>, parts: &Conditional, word: &str| {
            write!(f, "({} {word} {}", parts.then, parts.condition)?;
            if let Some(otherwise) = &parts.otherwise {
                write!(f, " else {otherwise}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::One(capability) => capability.fmt(f),
            Self::All(parts) => joined(f, parts, "and"),
            Self::Any(parts) => joined(f, parts, "or"),
            Self::If(parts) => conditional(f, parts, "if"),
            Self::Unless(parts) => conditional(f, parts, "unless"),
            Self::With(parts) => joined(f, &parts[..], "with"),
            Self::Without(parts) => joined(f, &parts[..], "without"),
        }
    }
}

#[cfg(test)]
mod tests;
