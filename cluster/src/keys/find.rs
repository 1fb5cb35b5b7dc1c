use super::{Below, Key, Shape};
use crate::KeyPath;

impl Below {
    fn shape(&self) -> Option<&Shape> {
        match self {
            Self::Nothing => None,
            Self::Keys(shape) | Self::Mapping(shape) | Self::Items(shape) | Self::Named(shape) => {
                Some(shape)
            }
        }
    }
}

impl Key {
    /// The keys below it, those first that must be written.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        self.below.shape().map_or(&[], |shape| &shape.keys)
    }

    /// The key below it that has this spelling.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&Self> {
        let same = |key: &&Self| key.name == name || key.aliases.iter().any(|alias| alias == name);
        self.keys().iter().find(same)
    }

    /// The key at a path of plain names, and where it is by the names it is known by. Places in lists and names of the
    /// writer's own are not part of it, and are passed over where they stand in brackets: `spec.hosts[3].name`.
    #[must_use]
    pub fn find(&self, written: &str) -> Option<(KeyPath, &Self)> {
        let start = (KeyPath::default(), self);
        plain(written)
            .split('.')
            .filter(|name| !name.is_empty())
            .try_fold(start, |(path, key), name| {
                key.key(name).map(|next| (path.key(&next.name), next))
            })
    }

    /// Every key below it, with its path.
    #[must_use]
    pub fn all(&self) -> Vec<(KeyPath, &Self)> {
        let mut all = Vec::new();
        self.gather(&KeyPath::default(), &mut all);
        all
    }

    fn gather<'k>(&'k self, path: &KeyPath, all: &mut Vec<(KeyPath, &'k Self)>) {
        for key in self.keys() {
            let path = path.key(&key.name);
            all.push((path.clone(), key));
            key.gather(&path, all);
        }
    }

    /// The paths that were probably meant by one that is not there, whole or by their ends: as good as each other, and few.
    #[must_use]
    pub fn near(&self, written: &str) -> Vec<KeyPath> {
        const MOST: usize = 8;
        let written = plain(written).to_lowercase();
        let parts: Vec<&str> = written.split('.').collect();
        let mut near: Vec<(usize, KeyPath)> = Vec::new();
        for (path, _) in self.all() {
            let names: Vec<String> = path.keys().map(str::to_lowercase).collect();
            let Some(before) = names.len().checked_sub(parts.len()) else {
                continue;
            };
            let pairs = parts.iter().zip(&names[before..]);
            let distance = pairs
                .map(|(part, name)| apart(part, name))
                .sum::<Option<usize>>();
            near.extend(distance.map(|distance| (distance, path)));
        }
        near.sort();
        let least = near.first().map(|(distance, _)| *distance);
        let best = near
            .into_iter()
            .filter(|(distance, _)| Some(*distance) == least);
        best.map(|(_, path)| path).take(MOST).collect()
    }

    /// The key at a path of a config, or the nearest one around it.
    pub(crate) fn around(&self, path: &KeyPath) -> &Self {
        let mut key = self;
        let mut names = path.keys();
        loop {
            if matches!(key.below, Below::Named(_)) && names.next().is_none() {
                return key;
            }
            match names.next().and_then(|name| key.key(name)) {
                Some(next) => key = next,
                None => return key,
            }
        }
    }
}

/// How far two names are from each other, if one may be meant by the other.
fn apart(one: &str, other: &str) -> Option<usize> {
    let distance = strsim::damerau_levenshtein(one, other);
    (distance <= one.len().max(other.len()) / 3).then_some(distance)
}

/// The path without what stands in brackets.
fn plain(written: &str) -> String {
    let mut depth = 0_usize;
    let mut out = String::new();
    for c in written.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::keys;

    fn found(written: &str) -> Option<String> {
        let root = keys();
        root.find(written).map(|(path, _)| path.to_string())
    }

    fn near(written: &str) -> Vec<String> {
        let near = keys().near(written);
        near.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_is_found_as_people_and_messages_write_it() {
        for (written, path) in [
            ("", ""),
            ("spec.etcd.dataDir", "spec.etcd.dataDir"),
            ("spec.hosts[3].bastion.port", "spec.hosts.bastion.port"),
            ("spec.roleGroups.control-plane", "spec.roleGroups.master"),
            (
                r#"spec.registry.auths["quay.io:443"].certsPath"#,
                "spec.registry.auths.certsPath",
            ),
        ] {
            assert_eq!(found(written).as_deref(), Some(path), "{written}");
        }
        for wrong in ["etcd", "spec.etcd.datadir", "spec.etcd.dataDir.x"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_not_there_has_near_ones() {
        assert_eq!(near("spec.etcd.datadir"), ["spec.etcd.dataDir"]);
        assert_eq!(near("ectd.dataDir"), ["spec.etcd.dataDir"]);
        assert_eq!(near("spec.kubernets.maxPod"), ["spec.kubernetes.maxPods"]);
        assert_eq!(
            near("proxyMode"),
            ["spec.kubernetes.proxyMode"],
            "it is found wherever it is"
        );
        assert!(near("spec.etcd.nonsense").is_empty());
    }

    #[test]
    fn what_is_around_a_path_is_found_through_names_of_the_writers_own() {
        let root = keys();
        let auths = KeyPath::of("spec.registry.auths");
        let named = |path: &KeyPath| root.around(path).name.clone();
        assert_eq!(named(&auths.key("quay.io")), "auths");
        assert_eq!(named(&auths.key("quay.io").key("certsPath")), "certsPath");
        let open = KeyPath::of("spec.kubernetes.kubeProxyConfiguration.conntrack.min");
        assert_eq!(named(&open), "kubeProxyConfiguration");
        assert_eq!(
            named(&KeyPath::of("spec.kubernetes.featureGates.X")),
            "featureGates"
        );
    }
}
