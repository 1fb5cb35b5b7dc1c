//! What members of etcd must be before they become of a later minor, whoever runs them: the one table that says so.

use crate::Version;

/// A minor of etcd that takes in members of the one before, and not all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct EtcdEntry {
    /// The minor that is entered.
    into: (u64, u64),
    /// Older members do not come in well at all.
    pub least: Version,
    /// Older members come in, and what was removed from the cluster may come back by them.
    pub sound: Version,
    /// What etcd's own guide asks for.
    pub advised: Version,
}

const ENTRIES: &[EtcdEntry] = &[EtcdEntry {
    into: (3, 6),
    least: Version::new(3, 5, 20),
    sound: Version::new(3, 5, 26),
    advised: Version::new(3, 5, 32),
}];

impl EtcdEntry {
    /// What is asked of members of the minor before that become this version.
    #[must_use]
    pub fn into(to: &Version) -> Option<&'static Self> {
        ENTRIES.iter().find(|entry| entry.into == to.minor())
    }

    /// What is asked of a member of one version that becomes another. None where nothing is.
    #[must_use]
    pub fn of(from: &Version, to: &Version) -> Option<&'static Self> {
        let mut entries = ENTRIES.iter();
        entries.find(|entry| from.minor() < entry.into && to.minor() >= entry.into)
    }
}

/// The version of etcd that an image holds, by its tag: the image of Kubernetes has a revision of its own, `3.5.24-0`.
#[must_use]
pub fn etcd_in(tag: &str) -> Option<Version> {
    tag.split('-').next().unwrap_or(tag).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn members_are_asked_for_something_where_they_enter_a_minor() {
        let asked = |from: &str, to: &str| EtcdEntry::of(&version(from), &version(to)).is_some();
        assert!(asked("3.5.24", "3.6.5"));
        assert!(asked("3.4.30", "3.6.5"));
        assert!(!asked("3.6.5", "3.6.8"));
        assert!(!asked("3.5.24", "3.5.33"));
        assert!(EtcdEntry::into(&version("3.6.5")).is_some());
        assert!(EtcdEntry::into(&version("3.5.33")).is_none());
        assert!(!asked("3.6.5", "3.5.33"));
    }

    #[test]
    fn a_tag_tells_which_etcd_it_is() {
        assert_eq!(etcd_in("3.5.24-0"), Some(version("3.5.24")));
        assert_eq!(etcd_in("v3.5.33"), Some(version("3.5.33")));
        assert_eq!(etcd_in("latest"), None);
    }
}
