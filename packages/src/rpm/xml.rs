//! A walk over an XML document in bounded memory: elements by their local names, text given at their end.
use std::borrow::Cow;
use std::io::BufRead;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// What is not as the format has it, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {cause}")]
pub struct XmlError {
    offset: u64,
    cause: String,
}

/// Takes the elements of a document as they come.
pub(super) trait Visitor {
    /// An element begins.
    fn start(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String>;
    /// An element ends; `text` is what stood since the last tag.
    fn end(&mut self, name: &str, text: &str) -> Result<(), String>;
}

/// The attributes of one element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    pub(super) fn get(&self, name: &str) -> Result<Option<Cow<'_, str>>, String> {
        let attribute = self
            .0
            .try_get_attribute(name)
            .map_err(|error| error.to_string())?;
        attribute
            .map(|attribute| attribute.normalized_value(XmlVersion::Explicit1_0))
            .transpose()
            .map_err(|error| error.to_string())
    }

    pub(super) fn require(&self, name: &str) -> Result<Cow<'_, str>, String> {
        self.get(name)?
            .ok_or_else(|| format!("<{}> has no {name}", self.0.local_name().as_ref()))
    }
}

/// Gives every element to the visitor, up to the end of the document.
pub(super) fn walk(source: impl BufRead, visitor: &mut impl Visitor) -> Result<(), XmlError> {
    let mut reader = quick_xml::Reader::from_reader(source);
    let mut buffer = Vec::new();
    let mut text = String::new();
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let result = match event {
            Err(error) => Err(error.to_string()),
            Ok(Event::Start(element)) => {
                text.clear();
                depth += 1;
                visitor.start(element.local_name().as_ref(), &Attributes(&element))
            }
            Ok(Event::Empty(element)) => {
                text.clear();
                let name = element.local_name();
                visitor
                    .start(name.as_ref(), &Attributes(&element))
                    .and_then(|()| visitor.end(name.as_ref(), ""))
            }
            Ok(Event::End(element)) => {
                depth -= 1;
                let result = visitor.end(element.local_name().as_ref(), text.trim());
                text.clear();
                result
            }
            Ok(Event::Text(more)) => {
                text.push_str(&more);
                Ok(())
            }
            Ok(Event::CData(more)) => {
                text.push_str(&more);
                Ok(())
            }
            Ok(Event::GeneralRef(reference)) => match (
                reference.resolve_char_ref(),
                resolve_predefined_entity(&reference),
            ) {
                (Err(error), _) => Err(error.to_string()),
                (Ok(Some(character)), _) => {
                    text.push(character);
                    Ok(())
                }
                (Ok(None), Some(resolved)) => {
                    text.push_str(resolved);
                    Ok(())
                }
                (Ok(None), None) => Err(format!("&{}; is unknown", &*reference)),
            },
            Ok(Event::Eof) if depth > 0 => Err("it ends in the middle".to_owned()),
            Ok(Event::Eof) => return Ok(()),
            Ok(Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_)) => Ok(()),
        };
        result.map_err(|cause| XmlError {
            offset: reader.buffer_position(),
            cause,
        })?;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[derive(Default)]
    struct Spoken(String);

    impl Visitor for Spoken {
        fn start(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
            let kind = attributes.get("kind")?.unwrap_or_default();
            write!(self.0, "<{name} {kind}>").map_err(|error| error.to_string())
        }

        fn end(&mut self, name: &str, text: &str) -> Result<(), String> {
            write!(self.0, "{text}</{name}>").map_err(|error| error.to_string())
        }
    }

    fn spoken(document: &str) -> Result<String, String> {
        let mut visitor = Spoken::default();
        walk(document.as_bytes(), &mut visitor).map_err(|error| error.to_string())?;
        Ok(visitor.0)
    }

    #[test]
    fn names_are_local_and_text_is_unescaped() {
        let document = "<?xml version='1.0'?><m xmlns:r='x'> <r:a kind='1 &lt; 2'>x &amp; &#121;<![CDATA[&]]> </r:a><b/></m>";
        insta::assert_snapshot!(spoken(document).unwrap(), @"<m ><a 1 < 2>x & y&</a><b ></b></m>");
    }

    #[test]
    fn what_is_no_document_is_told_with_its_place() {
        let errors = ["<m><a></m>", "<m><a>", "<m>&nbsp;</m>", "<m kind='&lol;'/>"];
        let errors = errors.map(|document| spoken(document).unwrap_err());
        insta::assert_snapshot!(errors.join("\n"), @r"
        at byte 10: ill-formed document: expected `</a>`, but `</m>` was found
        at byte 6: it ends in the middle
        at byte 9: &nbsp; is unknown
        at byte 17: at 1..4: unrecognized entity `lol`
        ");
    }
}
