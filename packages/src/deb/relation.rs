//! Relations between packages: `Depends: libc6 (>= 2.38), default-mta | mail-transport-agent, python3:any [amd64]`.

use std::cmp::Ordering;
use std::fmt;

use super::version;

/// One of the alternatives of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    pub name: String,
    /// Behind the colon: `any`, or an architecture.
    pub qualifier: Option<String>,
    pub bound: Option<Bound>,
}

impl Alternative {
    /// Whether one version will do and no other.
    pub(super) fn is_exact(&self) -> bool {
        let bound = self.bound.as_ref();
        bound.is_some_and(|bound| bound.operator == Operator::Exactly)
    }
}

/// A limit to versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub operator: Operator,
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Below,
    AtMost,
    Exactly,
    AtLeast,
    Above,
}

/// A relation that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no relation to a package, such as \"libc6 (>= 2.38)\"")]
pub struct RelationError {
    pub text: String,
}

impl Bound {
    /// Whether a version is within it.
    #[must_use]
    pub fn allows(&self, version: &str) -> bool {
        let ordering = version::compare(version, &self.version);
        match self.operator {
            Operator::Below => ordering.is_lt(),
            Operator::AtMost => ordering.is_le(),
            Operator::Exactly => ordering == Ordering::Equal,
            Operator::AtLeast => ordering.is_ge(),
            Operator::Above => ordering.is_gt(),
        }
    }
}

/// Reads a field: all of these relations, each of alternatives. What is said of other architectures is left out.
pub fn parse(field: &str, arch: &str) -> Result<Vec<Vec<Alternative>>, RelationError> {
    let mut relations = Vec::new();
    for relation in field
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        let mut alternatives = Vec::new();
        for text in relation.split('|') {
            let (alternative, arches) = parse_one(text)?;
            if speaks_of(arches, arch) {
                alternatives.push(alternative);
            }
        }
        if !alternatives.is_empty() {
            relations.push(alternatives);
        }
    }
    Ok(relations)
}

/// The alternative, and the architectures in brackets behind it.
fn parse_one(text: &str) -> Result<(Alternative, &str), RelationError> {
    let error = || RelationError {
        text: text.trim().to_owned(),
    };
    let end = text.find(['(', '[', '<']).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let name = name.trim();
    let (name, qualifier) = match name.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
        None => (name, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(error());
    }
    let mut bound = None;
    if let Some(inner) = rest.strip_prefix('(') {
        let (inner, behind) = inner.split_once(')').ok_or_else(error)?;
        bound = Some(parse_bound(inner.trim()).ok_or_else(error)?);
        rest = behind.trim_start();
    }
    let arches = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']').ok_or_else(error)?.0,
        None => "",
    };
    let name = name.to_owned();
    let alternative = Alternative {
        name,
        qualifier,
        bound,
    };
    Ok((alternative, arches))
}

fn parse_bound(text: &str) -> Option<Bound> {
    let (operator, version) = text.split_at(text.find(|sign| !"<>=".contains(sign))?);
    let version = version.trim();
    if version.is_empty() || version.contains(char::is_whitespace) {
        return None;
    }
    let operator = match operator {
        "<<" => Operator::Below,
        // The single signs are of old, and mean this.
        "<=" | "<" => Operator::AtMost,
        "=" => Operator::Exactly,
        ">=" | ">" => Operator::AtLeast,
        ">>" => Operator::Above,
        _ => return None,
    };
    Some(Bound {
        operator,
        version: version.to_owned(),
    })
}

fn speaks_of(arches: &str, arch: &str) -> bool {
    let mut listed = arches.split_whitespace().peekable();
    match listed.peek() {
        None => true,
        Some(first) if first.starts_with('!') => {
            listed.all(|one| one.strip_prefix('!') != Some(arch))
        }
        Some(_) => listed.any(|one| one == arch || one == "any"),
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some(Bound { operator, version }) = &self.bound {
            write!(f, " ({operator} {version})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<<",
            Self::AtMost => "<=",
            Self::Exactly => "=",
            Self::AtLeast => ">=",
            Self::Above => ">>",
        })
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn read(field: &str) -> String {
        let relation = |alternatives: &Vec<Alternative>| {
            let texts: Vec<_> = alternatives.iter().map(ToString::to_string).collect();
            texts.join(" | ")
        };
        let relations = parse(field, "amd64").unwrap();
        relations
            .iter()
            .map(relation)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn relations_are_read() {
        assert_snapshot!(
            read("libc6 (>= 2.38), default-mta|mail-transport-agent,\n python3:any (<<3.14) , a [amd64], b [!amd64], c [arm64 amd64] <!nocheck>, d [arm64] | e (= 1:2-3),"),
            @r"
        libc6 (>= 2.38)
        default-mta | mail-transport-agent
        python3:any (<< 3.14)
        a
        c
        e (= 1:2-3)
        "
        );
    }

    #[test]
    fn what_is_no_relation_is_named() {
        for text in [
            "a b", "(>= 1)", "a (1)", "a (>= 1", "a (=> 1)", "a ()", "a | ",
        ] {
            assert_eq!(
                parse(text, "amd64").unwrap_err().text,
                text.rsplit('|').next().unwrap().trim()
            );
        }
        assert_snapshot!(parse("a b", "amd64").unwrap_err(), @r#""a b" is no relation to a package, such as "libc6 (>= 2.38)""#);
    }
}
