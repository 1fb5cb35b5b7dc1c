use std::collections::BTreeMap;

use serde::Serialize;

/// A program's start arguments by name, without the dashes in front. Sorted: the same choices always read the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Others laid over these: theirs win.
    #[must_use]
    pub fn overlaid<'a>(
        mut self,
        others: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        let others = others.into_iter();
        self.0
            .extend(others.map(|(name, value)| (name.clone(), value.clone())));
        self
    }
}

impl<'a> FromIterator<(&'a str, String)> for Arguments {
    fn from_iter<I: IntoIterator<Item = (&'a str, String)>>(arguments: I) -> Self {
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        Self(arguments.into_iter().map(owned).collect())
    }
}

/// One word of a unit's `ExecStart=`, which systemd reads as it was meant: it takes `%` and `$` for its own otherwise.
pub(crate) fn word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@*".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut out = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' | '$' => out.extend([c, c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        assert_eq!(
            word("--controllers=*,tokencleaner"),
            "--controllers=*,tokencleaner"
        );
        assert_eq!(word("--a=$b 100%"), r#""--a=$$b 100%%""#);
        assert_eq!(word(r#"--a="\"#), r#""--a=\"\\""#);
        assert_eq!(word(""), "\"\"");
    }

    #[test]
    fn the_one_who_is_laid_over_wins() {
        let ours: Arguments = [("a", "1".to_owned()), ("b", "2".to_owned())]
            .into_iter()
            .collect();
        let theirs = BTreeMap::from([
            ("b".to_owned(), "3".to_owned()),
            ("c".to_owned(), "4".to_owned()),
        ]);
        let both = ours.overlaid(&theirs);
        assert_eq!(
            (both.get("a"), both.get("b"), both.get("c")),
            (Some("1"), Some("3"), Some("4"))
        );
        assert_eq!(both.without("b").get("b"), None);
    }
}
