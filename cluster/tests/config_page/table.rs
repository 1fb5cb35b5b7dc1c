use cluster::{Acts, Below, Choice, Key, KeyDefault, KeyPath};

/// Which keys have a table of their own, so that others point to it.
pub struct Page<'k> {
    root: &'k Key,
    tables: Vec<(KeyPath, &'k Key)>,
}

impl<'k> Page<'k> {
    pub fn new(root: &'k Key, tables: Vec<&str>) -> Self {
        let find = |path| root.find(path).unwrap_or_else(|| panic!("no key '{path}'"));
        let tables = tables.into_iter().map(find).collect();
        Self { root, tables }
    }

    /// The keys below a path that are told nowhere else, as Markdown.
    pub fn table(&self, path: &str) -> String {
        let (path, key) = self.root.find(path).expect("the page has asked for it");
        let mut out =
            "| Key | Type | Default | Acts | Meaning |\n|---|---|---|---|---|\n".to_owned();
        self.rows(&path, &KeyPath::default(), key, &mut out);
        out
    }

    /// A row for each key, and for those below it. `shown` is the path within the table.
    fn rows(&self, path: &KeyPath, shown: &KeyPath, above: &Key, out: &mut String) {
        for key in above.keys() {
            let (path, shown) = (path.key(&key.name), shown.key(&key.name));
            let elsewhere = self.elsewhere(&path, key);
            *out += &row(&shown, key, elsewhere);
            if elsewhere.is_none() {
                self.rows(&path, &shown, key, out);
            }
        }
    }

    /// The table that tells the keys below this one: its own, or that of another of the same type.
    fn elsewhere(&self, path: &KeyPath, key: &Key) -> Option<&KeyPath> {
        let own = self.tables.iter().find(|(table, _)| table == path);
        let alike = || {
            let mut tables = self.tables.iter();
            tables.find(|(_, told)| of(told).is_some() && of(told) == of(key))
        };
        own.or_else(alike).map(|(table, _)| table)
    }
}

/// The type of the mappings that a key holds.
fn of(key: &Key) -> Option<&str> {
    match &key.below {
        Below::Nothing => None,
        Below::Keys(shape) | Below::Mapping(shape) | Below::Items(shape) | Below::Named(shape) => {
            Some(&shape.of)
        }
    }
}

fn row(shown: &KeyPath, key: &Key, elsewhere: Option<&KeyPath>) -> String {
    let mut meaning = vec![linked(&key.meaning)];
    meaning.extend(choices(&key.choices));
    meaning.extend(aliases(&key.aliases));
    meaning.extend(elsewhere.map(|table| {
        let table = table.to_string();
        format!("See [{table}](#{}).", table.to_lowercase().replace('.', ""))
    }));
    let cells = [
        format!("`{shown}`"),
        key.kind.clone(),
        default(&key.default),
        acts(key),
        meaning.join(" "),
    ];
    format!(
        "| {} |\n",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}

fn default(default: &KeyDefault) -> String {
    match default {
        KeyDefault::Required => "required".to_owned(),
        KeyDefault::None => "none".to_owned(),
        KeyDefault::Told(words) => words.clone(),
        KeyDefault::Value(value) => match value.as_str() {
            Some(text) => word(text),
            None if value.is_boolean() => format!("`{value}`"),
            None => value.to_string(),
        },
    }
}

fn acts(key: &Key) -> String {
    if key.acts != Acts::Yes || key.choices.iter().all(|choice| choice.acts == Acts::Yes) {
        return does(key.acts).to_owned();
    }
    let mut said = Vec::new();
    for acts in [Acts::Bundle, Acts::Kubeadm, Acts::No] {
        let alike = key.choices.iter().filter(|choice| choice.acts == acts);
        let names: Vec<String> = alike.map(|choice| word(&choice.name)).collect();
        if !names.is_empty() {
            said.push(format!("{}: {}", names.join(", "), does(acts)));
        }
    }
    said.push("others: yes".to_owned());
    said.join("; ")
}

const fn does(acts: Acts) -> &'static str {
    match acts {
        Acts::Yes => "yes",
        Acts::Bundle => "bundle",
        Acts::Kubeadm => "with `kubeadm`",
        Acts::No => "no",
    }
}

fn word(text: &str) -> String {
    match text {
        "" => "`\"\"`".to_owned(),
        _ => format!("`{text}`"),
    }
}

/// Each choice with what it means, or all in one sentence where none says more than its name.
fn choices(choices: &[Choice]) -> Option<String> {
    let named = |choice: &Choice| {
        let also: Vec<String> = choice.aliases.iter().map(|alias| word(alias)).collect();
        match also.as_slice() {
            [] => word(&choice.name),
            also => format!("{} (also {})", word(&choice.name), also.join(", ")),
        }
    };
    let told: Vec<String> = choices
        .iter()
        .filter_map(|choice| {
            let meaning = choice.meaning.as_deref()?;
            Some(format!("{}: {}", named(choice), within(&linked(meaning))))
        })
        .collect();
    let all: Vec<String> = choices.iter().map(named).collect();
    match all.as_slice() {
        [] => None,
        _ if !told.is_empty() => Some(told.join(" ")),
        [one] => Some(format!("Always {one}.")),
        [others @ .., last] => Some(format!("Choices: {} and {last}.", others.join(", "))),
    }
}

fn aliases(aliases: &[String]) -> Option<String> {
    let names: Vec<String> = aliases.iter().map(|alias| word(alias)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is another name.")),
        names => Some(format!("{} are other names.", names.join(" and "))),
    }
}

/// A sentence within another one: `IP in IP` stays.
fn within(sentence: &str) -> String {
    let mut rest = sentence.chars();
    let (first, second) = (rest.next(), rest.clone().next());
    match first {
        Some(first) if !second.is_some_and(char::is_uppercase) => {
            format!("{}{}", first.to_lowercase(), rest.as_str())
        }
        _ => sentence.to_owned(),
    }
}

/// Names of other pages as links: `docs/networks.md#calico`.
fn linked(text: &str) -> String {
    let mut parts = text.split("docs/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.#".contains(c));
        let name = part[..end.unwrap_or(part.len())].trim_end_matches('.');
        let page = name.split('#').next().unwrap_or(name);
        out.extend(["[", page, "](", name, ")", &part[name.len()..]]);
    }
    out
}
