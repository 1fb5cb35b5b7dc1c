//! What `containerd.config` says against the `config.toml` that it is merged into: containerd leaves its CRI plugin out
//! where the two do not fit, and goes on without.

use serde_json::{Map, Value};

use crate::validate::Check;
use crate::{KeyPath, Version};

const CONFIG: &str = "spec.kubernetes.containerRuntime.containerd.config";

/// The two forms of the file, by what kubexm writes for a major version of containerd.
struct Form {
    major: u64,
    version: u64,
    /// The tables of the CRI plugin.
    tables: &'static [&'static str],
    /// The one among them that tells of registries.
    registry: &'static str,
}

const FORMS: [Form; 2] = [
    Form {
        major: 1,
        version: 2,
        tables: &["io.containerd.grpc.v1.cri"],
        registry: "io.containerd.grpc.v1.cri",
    },
    Form {
        major: 2,
        version: 3,
        tables: &[
            "io.containerd.cri.v1.images",
            "io.containerd.cri.v1.runtime",
        ],
        registry: "io.containerd.cri.v1.images",
    },
];

pub(super) fn check(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let config = &cluster.spec.kubernetes.container_runtime.containerd.config;
    if !check.sound(&[CONFIG]) {
        return;
    }
    registries(check, config);
    let asked = cluster.runtime_version().filter(|version| known(version));
    if let Some(asked) = asked {
        form(check, config, asked);
    } else if let Some(version) = config.get("version")
        && !FORMS.iter().any(|form| *version == form.version)
    {
        check.error(
            KeyPath::of(CONFIG).key("version"),
            format!("no containerd reads a config of version {version}"),
            "remove it: kubexm writes the one that fits".to_owned(),
        );
    }
}

fn known(version: &Version) -> bool {
    FORMS
        .iter()
        .any(|form| form.major == version.semver().major)
}

/// kubexm gives the directory `config_path`, beside which containerd takes nothing of the older way.
fn registries(check: &mut Check<'_>, config: &Map<String, Value>) {
    for form in &FORMS {
        let plugin = config
            .get("plugins")
            .and_then(|plugins| plugins.get(form.registry));
        let Some(registry) = plugin.and_then(|plugin| plugin.get("registry")) else {
            continue;
        };
        let path = KeyPath::of(CONFIG)
            .key("plugins")
            .key(form.registry)
            .key("registry");
        let has_tls = |config: &Value| config.get("tls").is_some();
        let configs = registry.get("configs").and_then(Value::as_object);
        let tls = configs.is_some_and(|configs| configs.values().any(has_tls));
        let older = [
            ("mirrors", registry.get("mirrors").is_some()),
            ("configs", tls),
        ];
        for (key, _) in older.into_iter().filter(|(_, there)| *there) {
            check.error(
                path.key(key),
                format!("containerd does not start its CRI plugin with registry.{key} beside config_path, which kubexm sets"),
                "remove it: in the site every pull goes to the site's registry, and /etc/containerd/certs.d says how".to_owned(),
            );
        }
    }
}

fn form(check: &mut Check<'_>, config: &Map<String, Value>, asked: &Version) {
    for form in &FORMS {
        if form.major == asked.semver().major {
            if let Some(version) = config.get("version")
                && *version != form.version
            {
                check.error(
                    KeyPath::of(CONFIG).key("version"),
                    format!(
                        "the config of containerd {asked} is of version {}, not {version}",
                        form.version
                    ),
                    "remove it: kubexm writes the one that fits".to_owned(),
                );
            }
            continue;
        }
        let plugins = config.get("plugins");
        for table in form.tables {
            if plugins.is_some_and(|plugins| plugins.get(table).is_some()) {
                check.error(
                    KeyPath::of(CONFIG).key("plugins").key(table),
                    format!(
                        "containerd {asked} does not know the table {table}, which is of containerd {}.x",
                        form.major
                    ),
                    format!("its tables are {}", tables(asked)),
                );
            }
        }
    }
}

fn tables(asked: &Version) -> String {
    let mut forms = FORMS.iter();
    let own = forms.find(|form| form.major == asked.semver().major);
    own.map_or_else(String::new, |form| form.tables.join(" and "))
}
