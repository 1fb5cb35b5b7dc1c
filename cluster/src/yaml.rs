//! The only place that knows which YAML library there is.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_saphyr::budget::{Budget, EnforcingPolicy, check_yaml_budget};
use serde_saphyr::granit_parser::{self, Event, Marker, Options, Parser, ScalarStyle, ScanError};

use crate::tree::{Entry, Node, Span, Value};

/// Aliases are copied out; no file may grow beyond this by them.
const MOST_NODES: usize = 250_000;

/// What could be read, and what could not.
pub(crate) struct Document {
    /// Everything up to the first mistake of syntax.
    pub root: Option<Node>,
    /// False where a mistake of syntax hides the rest.
    pub complete: bool,
    pub mistakes: Vec<Mistake>,
}

/// Something that is not YAML, or more of YAML than a config may use.
pub(crate) struct Mistake {
    pub span: Span,
    pub message: String,
    pub hint: Option<String>,
}

/// The YAML form of anything that serialises.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<String, serde_saphyr::ser_error::Error> {
    serde_saphyr::to_string(value)
}

/// Any number of documents, as plain data.
pub(crate) fn documents(text: &str) -> Result<Vec<serde_json::Value>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| error.without_snippet().to_string())
}

pub(crate) fn read(text: &str) -> Document {
    let broken = |mistake: Mistake| Document {
        root: None,
        complete: false,
        mistakes: vec![mistake],
    };
    // A syntax error is told by the reader below, which knows what came before it.
    if let Ok(report) = check_yaml_budget(text, budget(), EnforcingPolicy::AllContent)
        && let Some(breach) = report.breached
    {
        return broken(Mistake {
            span: Span::point(1, 1),
            message: format!("the file is larger or deeper than a config may be ({breach:?})"),
            hint: None,
        });
    }
    Reader::default().read(text)
}

/// Far above any real config, far below what would hurt.
fn budget() -> Budget {
    let mut budget = Budget::default();
    budget.max_nodes = MOST_NODES;
    budget.max_documents = 16;
    // Notes in a config are longer than the library's default allows in one block.
    budget.max_buffered_comment_events = 100_000;
    budget
}

fn parser_options() -> Options {
    granit_parser::options! { emit_comments: false }
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    mistakes: Vec<Mistake>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<Node>,
    },
}

impl Reader {
    fn read(mut self, text: &str) -> Document {
        let mut complete = true;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, parser_options()) {
            let (event, span) = match event {
                Ok(found) => found,
                Err(error) => {
                    self.mistakes.push(syntax(&error));
                    complete = false;
                    break;
                }
            };
            let span = spanned(span.start, span.end);
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    self.mistake(
                        span,
                        "a second document in one file",
                        Some("one file describes one cluster"),
                    );
                    break;
                }
            }
            self.take(event, span);
            if self.nodes > MOST_NODES {
                self.mistake(
                    span,
                    "aliases make the file larger than a config may be",
                    None,
                );
                complete = false;
                break;
            }
        }
        while !self.open.is_empty() {
            self.close();
        }
        Document {
            root: self.root,
            complete,
            mistakes: self.mistakes,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.add(Node { span, value }, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open {
                    span,
                    anchor,
                    items: Items::List(Vec::new()),
                });
            }
            Event::MappingStart(_, anchor, _) => {
                let items = Items::Map {
                    entries: Vec::new(),
                    key: None,
                };
                self.open.push(Open {
                    span,
                    anchor,
                    items,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += size(&node);
                    self.add(Node { span, ..node }, 0);
                }
                None => self.mistake(span, "an alias of something that has not ended yet", None),
            },
            _ => {}
        }
    }

    fn close(&mut self) {
        let Some(Open {
            span,
            anchor,
            items,
        }) = self.open.pop()
        else {
            return;
        };
        let value = match items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(merged(entries)),
        };
        self.add(Node { span, value }, anchor);
    }

    fn add(&mut self, node: Node, anchor: usize) {
        self.nodes += 1;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(written) => match written.value {
                    Value::Scalar { text, .. } => {
                        entries.push(Entry {
                            key: text,
                            key_span: written.span,
                            value: node,
                        });
                    }
                    Value::List(_) | Value::Map(_) => {
                        self.mistake(written.span, "a key must be a plain text", None);
                    }
                },
            },
        }
    }

    fn mistake(&mut self, span: Span, message: &str, hint: Option<&str>) {
        self.mistakes.push(Mistake {
            span,
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }
}

/// The entries of `<<: *anchor` take the places that the mapping itself leaves free.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    for merge in merges {
        let sources = match merge.value.value {
            Value::Map(_) => vec![merge.value],
            Value::List(items) => items,
            Value::Scalar { .. } => {
                own.push(merge);
                continue;
            }
        };
        for source in sources {
            if let Value::Map(entries) = source.value {
                for entry in entries {
                    if own.iter().all(|there| there.key != entry.key) {
                        own.push(entry);
                    }
                }
            }
        }
    }
    own
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.value)).sum(),
    }
}

fn spanned(start: Marker, end: Marker) -> Span {
    Span {
        line: start.line(),
        column: start.col() + 1,
        end_line: end.line(),
        end_column: end.col() + 1,
    }
}

fn syntax(error: &ScanError) -> Mistake {
    let message = error.info();
    let hint = if message.contains("tab") {
        Some("indent with spaces")
    } else if message.contains("quoted") {
        Some("a quote that is opened here is never closed")
    } else if message.contains("':'") || message.contains("simple key") {
        Some("write 'key: value', with a space after the colon")
    } else {
        None
    };
    Mistake {
        span: Span::point(error.marker().line().max(1), error.marker().col() + 1),
        message: format!("this is not YAML: {message}"),
        hint: hint.map(str::to_owned),
    }
}
