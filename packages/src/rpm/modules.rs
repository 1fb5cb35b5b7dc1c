//! `modules.yaml`: which packages belong to streams of modules. A system that has enabled no stream by itself sees those
//! of the default streams, and nothing of the others; of what a default stream brings it sees no other build.
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde::Deserialize;
use serde_saphyr::{budget, options};

use super::metadata::{MetadataError, Part};
use super::primary::Package;

/// What is modular in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules {
    /// Packages of streams, as `name-epoch:version-release.arch`, and whether a default stream has them.
    streams: BTreeMap<String, Stream>,
    /// Names that default streams bring.
    taken: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Other,
    Default,
}

impl Modules {
    /// Reads what a repository says of its modules.
    pub fn read(part: &Part, stored: &[u8]) -> Result<Self, MetadataError> {
        part.read(stored, |mut content: &mut dyn BufRead| {
            // Distributions list each build of each stream there ever was.
            let options = options! {
                budget: budget! {
                    max_reader_input_bytes: None,
                    max_events: 50_000_000,
                    max_nodes: 50_000_000,
                    max_documents: 1_000_000,
                    max_total_scalar_bytes: 1 << 30,
                },
            };
            let documents = serde_saphyr::read_with_options::<_, Document>(&mut content, options);
            documents
                .collect::<Result<Vec<_>, _>>()
                .map(Self::of)
                .map_err(|error| MetadataError::Modules {
                    file: part.location.clone(),
                    cause: error.without_snippet().to_string(),
                })
        })
    }

    fn of(documents: Vec<Document>) -> Self {
        let defaults: BTreeSet<(String, String)> = documents
            .iter()
            .filter(|document| document.document == "modulemd-defaults")
            .filter_map(|document| {
                Some((document.data.module.clone()?, document.data.stream.clone()?))
            })
            .collect();
        let mut modules = Self::default();
        for Document { document, data } in documents {
            let (Some(name), Some(stream)) = (data.name, data.stream) else {
                continue;
            };
            if document != "modulemd" {
                continue;
            }
            let kind = if defaults.contains(&(name, stream)) {
                Stream::Default
            } else {
                Stream::Other
            };
            for artifact in data.artifacts.rpms {
                if kind == Stream::Default {
                    modules.taken.extend(name_of(&artifact).map(str::to_owned));
                }
                let known = modules.streams.entry(artifact).or_insert(kind);
                *known = kind.max(*known);
            }
        }
        modules
    }

    /// Whether a system without enabled streams sees this package.
    #[must_use]
    pub fn shows(&self, package: &Package) -> bool {
        let Package {
            name, evr, arch, ..
        } = package;
        let (epoch, version, release) = (evr.epoch(), evr.version(), evr.release());
        match self
            .streams
            .get(&format!("{name}-{epoch}:{version}-{release}.{arch}"))
        {
            Some(stream) => *stream == Stream::Default,
            None => !self.taken.contains(name),
        }
    }
}

fn name_of(artifact: &str) -> Option<&str> {
    let mut parts = artifact.rsplitn(3, '-');
    parts.nth(2)
}

#[derive(Deserialize)]
struct Document {
    document: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    name: Option<String>,
    module: Option<String>,
    stream: Option<String>,
    #[serde(default)]
    artifacts: Artifacts,
}

#[derive(Default, Deserialize)]
struct Artifacts {
    #[serde(default)]
    rpms: Vec<String>,
}
