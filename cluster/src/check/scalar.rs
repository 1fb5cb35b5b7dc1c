use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use super::mapping::nearest;
use super::{At, Checker};
use crate::HostPattern;
use crate::formats::{self, Held, quoted};
use crate::schema::{aliases, branches, words};
use crate::tree::{Entry, Node, Value, boolean};

impl Checker<'_> {
    pub(super) fn string(
        &mut self,
        node: &Node,
        text: &str,
        schema: &Json,
        at: &At,
    ) -> Option<Json> {
        let least = schema.get("minLength").and_then(Json::as_u64).unwrap_or(0);
        if (text.len() as u64) < least {
            return self.refuse(node, at, "the text is empty".to_owned(), None);
        }
        let format = schema.get("format").and_then(Json::as_str);
        if format == Some("host-pattern") && self.hosts_named > HostPattern::MAX_RANGE {
            // Told where it became too much; each further one would cost as much again.
            return None;
        }
        if let Some(format) = format
            && let (held, Err(wrong)) = formats::check(format, text)
        {
            self.refuse(node, at, wrong.message, wrong.hint);
            return (held == Held::Anyway).then(|| text.into());
        }
        if format == Some("host-pattern") {
            return self.pattern(node, text, at);
        }
        Some(text.into())
    }

    /// A pattern by itself is no larger than a range may be; all of them together must not be either.
    fn pattern(&mut self, node: &Node, text: &str, at: &At) -> Option<Json> {
        let named = text
            .parse::<HostPattern>()
            .map_or(0, |pattern| pattern.names().len());
        self.hosts_named += named;
        if self.hosts_named > HostPattern::MAX_RANGE {
            let message = format!(
                "the roles name more than {} hosts together",
                HostPattern::MAX_RANGE
            );
            return self.refuse(node, at, message, Some("name fewer".to_owned()));
        }
        Some(text.into())
    }

    pub(super) fn integer(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        schema: &Json,
        at: &At,
    ) -> Option<Json> {
        let Some(number) = text.parse::<i128>().ok().filter(|_| plain) else {
            let hint = text
                .parse::<i128>()
                .is_ok()
                .then(|| "remove the quotes".to_owned());
            return self.refuse(
                node,
                at,
                format!("expected a whole number, found {}", quoted(text)),
                hint,
            );
        };
        let bound = |name| schema.get(name).and_then(bound);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let below = least.is_some_and(|least| number < least);
        let above = most
            .or_else(|| widest(schema))
            .is_some_and(|most| number > most);
        if below || above {
            let range = match (least, most.or_else(|| widest(schema).filter(|_| above))) {
                (Some(least), Some(most)) => format!("from {least} to {most}"),
                (Some(least), None) => format!("{least} or more"),
                (None, Some(most)) => format!("{most} or less"),
                (None, None) => "another".to_owned(),
            };
            let hint = Some(format!("allowed is {range}"));
            return self.refuse(node, at, format!("{number} is out of range"), hint);
        }
        Some(whole(number))
    }

    pub(super) fn boolean(
        &mut self,
        node: &Node,
        text: &str,
        plain: bool,
        at: &At,
    ) -> Option<Json> {
        let found = boolean(text);
        if let Some(value) = found.filter(|_| plain) {
            return Some(Json::Bool(value));
        }
        let hint = match text.to_ascii_lowercase().as_str() {
            _ if found.is_some() => Some("remove the quotes"),
            "yes" | "y" | "on" | "enabled" => Some("write true"),
            "no" | "n" | "off" | "disabled" => Some("write false"),
            _ => None,
        };
        self.refuse(
            node,
            at,
            format!("expected true or false, found {}", quoted(text)),
            hint.map(str::to_owned),
        )
    }

    /// The value by YAML's own rules, for mappings that are handed on as they are.
    pub(super) fn untyped(&mut self, node: &Node, at: &At) -> Json {
        match &node.value {
            Value::Scalar { text, plain: true } => plain(text, node),
            Value::Scalar { text, plain: false } => text.as_str().into(),
            Value::List(items) => items.iter().map(|item| self.untyped(item, at)).collect(),
            Value::Map(entries) => {
                let mut first: BTreeMap<&str, &Entry> = BTreeMap::new();
                let mut out = Map::new();
                for entry in entries {
                    if let Some(earlier) = first.insert(&entry.key, entry) {
                        self.duplicate(entry, earlier, at);
                        continue;
                    }
                    let value = self.untyped(&entry.value, &at.key(&entry.key));
                    out.insert(entry.key.clone(), value);
                }
                Json::Object(out)
            }
        }
    }

    pub(super) fn choice(&mut self, node: &Node, choices: &Choices<'_>, at: &At) -> Option<Json> {
        let Some(text) = node.text() else {
            let message = format!("expected {}, found {}", choices.named(), node.kind());
            return self.refuse(node, at, message, None);
        };
        if let Some(chosen) = choices.find(text) {
            return Some(chosen.into());
        }
        let parts: Vec<&str> = text
            .split(['|', ',', '/', '，', '、'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        let hint = if parts.len() > 1 && parts.iter().all(|part| choices.find(part).is_some()) {
            Some(format!(
                "that is the list of choices: keep one of them, e.g. {}",
                parts[0]
            ))
        } else {
            let words = choices
                .list
                .iter()
                .flat_map(|(word, aliases)| aliases.iter().copied().chain([*word]));
            nearest(text, words).map(|near| format!("did you mean '{near}'?"))
        };
        self.refuse(
            node,
            at,
            format!("{} is not {}", quoted(text), choices.named()),
            hint,
        )
    }
}

/// The values that an enumeration has, each with its other spellings.
pub(super) struct Choices<'s> {
    list: Vec<(&'s str, Vec<&'s str>)>,
}

impl<'s> Choices<'s> {
    pub(super) fn of(schema: &'s Json) -> Option<Self> {
        let mut list = Vec::new();
        for branch in branches(schema) {
            list.extend(words(branch).map(|value| (value, aliases(branch).collect())));
        }
        (!list.is_empty()).then_some(Self { list })
    }

    pub(super) fn first(&self) -> Option<String> {
        self.list.first().map(|(value, _)| (*value).to_owned())
    }

    /// The value, where there is no other.
    pub(super) fn only(&self) -> Option<&'s str> {
        match self.list.as_slice() {
            [(value, _)] => Some(value),
            _ => None,
        }
    }

    fn find(&self, text: &str) -> Option<&'s str> {
        self.list
            .iter()
            .find(|(value, aliases)| *value == text || aliases.contains(&text))
            .map(|(value, _)| *value)
    }

    fn named(&self) -> String {
        let words: Vec<String> = self
            .list
            .iter()
            .map(|(value, _)| {
                if value.is_empty() {
                    "\"\"".to_owned()
                } else {
                    (*value).to_owned()
                }
            })
            .collect();
        match words.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [start @ .., last] => format!("one of {} and {last}", start.join(", ")),
        }
    }
}

fn plain(text: &str, node: &Node) -> Json {
    if node.is_null() {
        return Json::Null;
    }
    if let Some(value) = boolean(text) {
        return Json::Bool(value);
    }
    if let Ok(number) = text.parse::<i128>() {
        return whole(number);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match text
        .parse::<f64>()
        .ok()
        .filter(|_| numeric)
        .and_then(Number::from_f64)
    {
        Some(number) => Json::Number(number),
        None => text.into(),
    }
}

fn whole(number: i128) -> Json {
    i64::try_from(number)
        .map(Json::from)
        .or_else(|_| u64::try_from(number).map(Json::from))
        .unwrap_or_else(|_| Json::String(number.to_string()))
}

fn bound(value: &Json) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

/// The most that the integer's type holds.
fn widest(schema: &Json) -> Option<i128> {
    match schema.get("format").and_then(Json::as_str)? {
        "uint8" => Some(u8::MAX.into()),
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "uint64" => Some(u64::MAX.into()),
        "int64" => Some(i64::MAX.into()),
        _ => None,
    }
}
