use artifact::ParseDigestError;
use camino::Utf8PathBuf;

/// Why an addon cannot be part of a bundle.
#[derive(Debug, thiserror::Error)]
pub enum AddonError {
    #[error("it is not made for Kubernetes {kubernetes}")]
    NoVersion { kubernetes: String },
    #[error("cannot read {path}: {cause}")]
    Read { path: Utf8PathBuf, cause: String },
    #[error("{path} has no manifest: no file in it ends in .yaml, .yml or .json")]
    EmptyFolder { path: Utf8PathBuf },
    #[error("{at} is no index of charts: {cause}")]
    Index { at: String, cause: String },
    #[error("{at} has no chart {chart} {version}{}", known(.there))]
    NoChart {
        at: String,
        chart: String,
        version: String,
        there: Vec<String>,
    },
    #[error("{at} has a digest that is none: {cause}")]
    Digest { at: String, cause: ParseDigestError },
    #[error("{at}: {cause}")]
    Registry {
        at: String,
        cause: String,
        hint: Option<String>,
    },
    #[error("{at} is an image and no chart")]
    NotAChart { at: String },
    #[error("{program} cannot be run here: {cause}")]
    NoProgram {
        program: &'static str,
        cause: String,
    },
    #[error("{program} did not end within {seconds} s")]
    Silent { program: &'static str, seconds: u64 },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    #[error("{at}: {cause}")]
    NotObjects { at: String, cause: String },
    #[error("{object} is another one each time the chart is rendered, at {place}")]
    Dice { object: String, place: String },
    #[error("it has no text '{text}', which kubexm changes")]
    NoEdit { text: String },
    #[error("{key} of the config cannot be put into its values: {value} is no mapping")]
    Setting { key: String, value: String },
    #[error("{object} names '{reference}' as an image, which is none")]
    NoImage { object: String, reference: String },
}

fn known(there: &[String]) -> String {
    match there {
        [] => String::new(),
        there => format!(" (it has {})", there.join(", ")),
    }
}

impl AddonError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoVersion { .. } => {
                "name a version: {name: ..., version: ...}; or take it out of the config"
            }
            Self::Read { .. } | Self::EmptyFolder { .. } => {
                "paths are meant from the folder of the config"
            }
            Self::Index { .. } | Self::Digest { .. } => {
                "look at what its address gives: a mirror or a proxy may answer in its place"
            }
            Self::NoChart { .. } => "correct chart.name or chart.version",
            Self::Registry { hint, .. } => return hint.clone(),
            Self::NotAChart { .. } => "chart.oci names a chart that was pushed by helm",
            Self::NoProgram { .. } => {
                "charts are rendered where the bundle is made, by the bundle's own helm, and kustomizations by its kubectl"
            }
            Self::Silent { .. } => "it needs no network: look whether this machine is overloaded",
            Self::Failed {
                program: "kubectl", ..
            } => "correct the kustomization; `kubectl kustomize` of its folder says the same",
            Self::Failed { .. } => {
                "correct the values; `helm template` with the same values says the same"
            }
            Self::NotObjects { .. } => {
                "each document of a manifest is an object with a kind and a name"
            }
            Self::Dice { .. } => {
                "set what the chart makes up by chance, most of the time the name of a Secret that you make at the site, in values: a bundle is made once, and what it holds is the same at each site and in each run"
            }
            Self::NoEdit { .. } => {
                "this version is laid out in another way than kubexm knows; name another one"
            }
            Self::Setting { .. } => "correct values of this addon",
            Self::NoImage { .. } => "correct the values, or the manifest",
        };
        Some(hint.to_owned())
    }
}
