//! The keys of the config as data: what each holds, does and means. Made from the schema, which is made from the types.

mod find;
mod kind;
mod read;

use serde_json::Value;

use crate::Acts;
use crate::schema;

/// A key of the config.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Empty for the whole file.
    pub name: String,
    /// Its other spellings.
    pub aliases: Vec<String>,
    /// What people call the type of its value: `list of systems`.
    pub kind: String,
    pub default: KeyDefault,
    pub acts: Acts,
    /// Never empty. Other pages are named as `docs/NAME.md#PART`.
    pub meaning: String,
    /// All values that it may have, where these are words that can be listed.
    pub choices: Vec<Choice>,
    pub below: Below,
}

/// What stands for a key that is not written.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyDefault {
    /// It must be written.
    Required,
    None,
    Value(Value),
    /// It goes by something else; in words.
    Told(String),
}

/// A value that a key may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    pub aliases: Vec<String>,
    pub acts: Acts,
    pub meaning: Option<String>,
}

/// The keys below a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Below {
    Nothing,
    /// Of a mapping that is there whether it is written or not, and that knows no other keys.
    Keys(Shape),
    /// Of a mapping that is something by itself: its absence means something, or it takes others' keys as well.
    Mapping(Shape),
    /// Of each mapping in a list.
    Items(Shape),
    /// Of each mapping below a name of the writer's own.
    Named(Shape),
}

/// The keys of a mapping. Two mappings of one type have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub of: String,
    pub keys: Vec<Key>,
}

/// The whole file, with every key of the config below it.
#[must_use]
pub fn keys() -> Key {
    read::file(&schema::bare())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_what_it_means() {
        for (path, key) in keys().all() {
            assert!(key.meaning.ends_with('.'), "{path}: {:?}", key.meaning);
            let told = |choice: &&Choice| choice.meaning.is_some();
            let choices = key.choices.iter();
            let explained = choices.filter(told).count();
            assert!(
                [0, key.choices.len()].contains(&explained),
                "{path}: some choices are explained and some are not"
            );
        }
    }

    #[test]
    fn what_a_key_holds_has_the_name_that_people_know() {
        let root = keys();
        for (path, kind) in [
            ("spec", "mapping"),
            ("spec.hosts", "list of mappings"),
            ("spec.hosts.password", "secret"),
            ("spec.hosts.internalAddress", "address pair"),
            ("spec.hosts.labels", "mapping of texts"),
            ("spec.hosts.os", "system"),
            ("spec.roleGroups.master", "hosts"),
            ("spec.arch", "list of choices"),
            ("spec.versions", "mapping of versions"),
            ("spec.kubernetes.featureGates", "mapping of booleans"),
            ("spec.kubernetes.kubeletConfiguration", "mapping"),
            ("spec.kubernetes.proxyMode", "choice"),
            (
                "spec.kubernetes.containerRuntime.containerd.registryMirrors",
                "text or list",
            ),
            ("spec.registry.auths", "mapping of mappings"),
            ("spec.etcd.heartbeatInterval", "number, ms"),
            ("spec.etcd.dataDir", "data directory"),
        ] {
            let (_, key) = root.find(path).unwrap();
            assert_eq!(key.kind, kind, "{path}");
        }
    }

    #[test]
    fn what_stands_for_a_key_that_is_not_written_is_known() {
        let root = keys();
        let default = |path| root.find(path).unwrap().1.default.clone();
        assert_eq!(default("metadata.name"), KeyDefault::Required);
        assert_eq!(default("spec.hosts.port"), KeyDefault::Value(22.into()));
        assert_eq!(default("spec.hosts.agent"), KeyDefault::Value(false.into()));
        assert_eq!(default("spec.hosts.taints"), KeyDefault::None);
        assert_eq!(
            default("spec.hosts.sudoPassword"),
            KeyDefault::Told("`password`".to_owned())
        );
        assert_eq!(
            default("spec.network.plugin"),
            KeyDefault::Value("calico".into())
        );
    }
}
