//! What a bundle learns of a system's packages, whatever their format is.

/// What to carry for one system and architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For each wish, in order, the name of the package that meets it, carried or of the base.
    pub wishes: Vec<String>,
    /// What to carry, by name.
    pub packages: Vec<Carried>,
    /// What the system must have by itself, by name.
    pub base: Vec<Relied>,
}

/// A package to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    pub name: String,
    pub version: String,
    pub arch: String,
    /// Which of the archives has it: the number given when its index was read.
    pub source: usize,
    /// The address that its file lies below, where that is not the archive's own.
    pub at: Option<String>,
    /// Below that address.
    pub path: String,
    pub size: u64,
    /// In hex.
    pub sha256: String,
    /// The packages that satisfy what it requires, carried or of the base, by name.
    pub needs: Vec<String>,
}

/// A package of the base that something carried requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relied {
    pub name: String,
    /// What the archive has.
    pub version: String,
    /// The highest version that is asked of it.
    pub at_least: Option<String>,
    /// The only version that will do.
    pub exactly: Option<String>,
}
