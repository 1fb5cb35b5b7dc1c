/// What a signature is for: one that was made for another purpose is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Bundle,
    /// The list of what leaves on a medium.
    Journey,
    /// The list of what has come.
    Receipt,
}

impl Purpose {
    /// Its SSHSIG namespace.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Bundle => super::NAMESPACE,
            Self::Journey => "kubexm-journey",
            Self::Receipt => "kubexm-receipt",
        }
    }

    /// What is signed, in words.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Journey => "journey",
            Self::Receipt => "receipt",
        }
    }

    /// The file that is signed.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Bundle => "bundle.json",
            Self::Journey => "kubexm-journey.json",
            Self::Receipt => "the receipt",
        }
    }

    /// The verb that signs it.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Journey => "depart",
            Self::Receipt => "arrive",
        }
    }
}
