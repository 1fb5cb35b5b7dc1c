use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Arch;

/// An image that the config names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct OwnImage {
    pub image: String,
    /// The architectures that it is for. Empty: all of the bundle.
    pub arch: Vec<Arch>,
}

/// An image that is not for all architectures of the bundle.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OwnImageEntry")]
struct Entry {
    /// As without `arch`: `docker.io/library/nginx:1.29`.
    #[schemars(extend("format" = "image"))]
    image: String,
    /// The architectures that it is made for. Hosts of another one cannot run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-default" = "all of the bundle"))]
    arch: Vec<Arch>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Reference(String),
    Entry(Entry),
}

impl From<Written> for OwnImage {
    fn from(written: Written) -> Self {
        match written {
            Written::Reference(image) => Self::of_all(image),
            Written::Entry(Entry { image, arch }) => Self { image, arch },
        }
    }
}

impl From<OwnImage> for Written {
    fn from(OwnImage { image, arch }: OwnImage) -> Self {
        if arch.is_empty() {
            Self::Reference(image)
        } else {
            Self::Entry(Entry { image, arch })
        }
    }
}

impl OwnImage {
    /// For all architectures.
    #[must_use]
    pub fn of_all(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            arch: Vec::new(),
        }
    }
}

impl JsonSchema for OwnImage {
    fn schema_name() -> Cow<'static, str> {
        "OwnImage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "format": "image" },
                generator.subschema_for::<Entry>(),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_its_name_or_says_for_what_it_is() {
        let written = r#"["docker.io/me/app:1",{"image":"docker.io/me/gpu:1","arch":["amd64"]}]"#;
        let read: Vec<OwnImage> = serde_json::from_str(written).unwrap();
        assert_eq!(read[0], OwnImage::of_all("docker.io/me/app:1"));
        assert_eq!(read[1].arch, [Arch::Amd64]);
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
    }
}
