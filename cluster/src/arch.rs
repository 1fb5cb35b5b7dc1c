use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A machine architecture, under the name that Go and OCI use for it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    #[serde(alias = "x86_64")]
    #[schemars(extend("x-aliases" = ["x86_64"]))]
    Amd64,
    #[serde(alias = "aarch64")]
    #[schemars(extend("x-aliases" = ["aarch64"]))]
    Arm64,
}

impl Arch {
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The name in Go, OCI and most download addresses: `amd64`.
    #[must_use]
    pub const fn go(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name the kernel gives (`uname -m`): `x86_64`.
    #[must_use]
    pub const fn uname(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.go())
    }
}

/// The text is no architecture that kubexm knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture '{0}'; known are amd64 and arm64")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(text: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| text == arch.go() || text == arch.uname())
            .ok_or_else(|| UnknownArch(text.to_owned()))
    }
}
