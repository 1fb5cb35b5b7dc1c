use cluster::{Acts, Below, Choice, Key, KeyDefault, KeyPath};
use serde::Serialize;
use serde_json::Value;

use crate::args::ExplainArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Paint, Printer, paragraph, table};

pub fn run(args: &ExplainArgs, printer: &Printer) -> Result<(), Failure> {
    let root = cluster::keys();
    let (path, key) = root
        .find(&args.key)
        .ok_or_else(|| unknown(&root, &args.key))?;
    match printer.format() {
        Format::Json => printer.document(&Explained::of(&path, key))?,
        Format::Text => printer.result(text(&path, key, printer.paint()))?,
    }
    Ok(())
}

fn unknown(root: &Key, written: &str) -> Failure {
    let near: Vec<String> = root.near(written).iter().map(ToString::to_string).collect();
    let hint = match near.as_slice() {
        [] => {
            let mut around = written;
            while root.find(around).is_none() {
                around = around.rsplit_once('.').map_or("", |(above, _)| above);
            }
            let command = format!("kubexm config explain {around}");
            format!("'{}' tells what there is", command.trim_end())
        }
        [one] => format!("did you mean {one}?"),
        [others @ .., last] => format!("did you mean {} or {last}?", others.join(", ")),
    };
    Failure::Usage {
        message: format!("a config has no key '{written}'"),
        hint: Some(hint),
    }
}

fn text(path: &KeyPath, key: &Key, paint: Paint) -> String {
    let mut parts = Vec::new();
    if !path.is_root() {
        parts.push(paint.bold(path).to_string());
        parts.push(facts(key));
    }
    parts.push(paragraph(&key.meaning));
    if !key.choices.is_empty() {
        let row = |choice: &Choice| {
            let meaning = choice.meaning.clone().unwrap_or_default();
            vec![
                named(&choice.name, &choice.aliases),
                brief(choice.acts).to_owned(),
                meaning,
            ]
        };
        let columns = ["choice", "acts", "meaning"].map(Column::Text);
        parts.push(table(&columns, key.choices.iter().map(row)));
    }
    let below = match &key.below {
        Below::Nothing => None,
        Below::Keys(_) | Below::Mapping(_) => Some("key"),
        Below::Items(_) => Some("key of each item"),
        Below::Named(_) => Some("key below each name"),
    };
    if let Some(title) = below {
        let columns = [title, "type", "default", "acts", "meaning"].map(Column::Text);
        parts.push(table(&columns, key.keys().iter().map(row)));
    }
    parts.join("\n\n")
}

fn facts(key: &Key) -> String {
    let mut lines = vec![
        format!("  type     {}", key.kind),
        format!("  default  {}", default(&key.default)),
        format!("  acts     {}", at_length(key.acts)),
    ];
    if !key.aliases.is_empty() {
        lines.push(format!("  also     {}", key.aliases.join(", ")));
    }
    lines.join("\n")
}

fn row(key: &Key) -> Vec<String> {
    let sentence = key.meaning.split_inclusive(". ").next();
    vec![
        key.name.clone(),
        key.kind.clone(),
        default(&key.default),
        brief(key.acts).to_owned(),
        sentence.unwrap_or_default().trim_end().to_owned(),
    ]
}

fn named(name: &str, aliases: &[String]) -> String {
    let name = if name.is_empty() { "\"\"" } else { name };
    match aliases {
        [] => name.to_owned(),
        also => format!("{name} (also {})", also.join(", ")),
    }
}

fn default(default: &KeyDefault) -> String {
    match default {
        KeyDefault::Required => "required".to_owned(),
        KeyDefault::None => "none".to_owned(),
        KeyDefault::Told(words) => words.clone(),
        KeyDefault::Value(value) => match value.as_str() {
            Some(text) => named(text, &[]),
            None => value.to_string(),
        },
    }
}

const fn brief(acts: Acts) -> &'static str {
    match acts {
        Acts::Yes => "yes",
        Acts::Bundle => "bundle",
        Acts::Kubeadm => "with kubeadm",
        Acts::No => "no",
    }
}

const fn at_length(acts: Acts) -> &'static str {
    match acts {
        Acts::Yes => "yes",
        Acts::Bundle => "when bundling; nothing is set up from it yet",
        Acts::Kubeadm => "with kubernetes.type: kubeadm, and does nothing otherwise",
        Acts::No => "no: it is checked and kept, and does nothing yet",
    }
}

/// A key as data, with all below it.
#[derive(Serialize)]
struct Explained<'k> {
    key: String,
    #[serde(rename = "type")]
    kind: &'k str,
    required: bool,
    /// Where it is a fixed value.
    default: Option<&'k Value>,
    /// Where it goes by something else, in words.
    default_by: Option<&'k str>,
    acts: Acts,
    meaning: &'k str,
    aliases: &'k [String],
    choices: Vec<Chosen<'k>>,
    keys: Vec<Explained<'k>>,
}

#[derive(Serialize)]
struct Chosen<'k> {
    name: &'k str,
    aliases: &'k [String],
    acts: Acts,
    meaning: Option<&'k str>,
}

impl<'k> Explained<'k> {
    fn of(path: &KeyPath, key: &'k Key) -> Self {
        let (default, default_by) = match &key.default {
            KeyDefault::Value(value) => (Some(value), None),
            KeyDefault::Told(words) => (None, Some(words.as_str())),
            KeyDefault::Required | KeyDefault::None => (None, None),
        };
        Self {
            key: path.to_string(),
            kind: &key.kind,
            required: key.default == KeyDefault::Required,
            default,
            default_by,
            acts: key.acts,
            meaning: &key.meaning,
            aliases: &key.aliases,
            choices: key.choices.iter().map(Chosen::of).collect(),
            keys: key
                .keys()
                .iter()
                .map(|below| Self::of(&path.key(&below.name), below))
                .collect(),
        }
    }
}

impl<'k> Chosen<'k> {
    fn of(choice: &'k Choice) -> Self {
        Self {
            name: &choice.name,
            aliases: &choice.aliases,
            acts: choice.acts,
            meaning: choice.meaning.as_deref(),
        }
    }
}
