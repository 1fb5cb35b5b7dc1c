//! The objects of a plugin's manifest, changed as data. A place that is not where it should be is an error: what a
//! version of the plugin does not know would be lost in silence.

use std::sync::Arc;

use camino::Utf8Path;
use engine::StepError;
use serde_json::{Value, json};
use step::{ApplyManifest, Content};

use crate::Site;

/// Applies the manifest of a component of the bundle, changed by `edit`.
pub(super) fn apply(
    site: &Site,
    component: &'static str,
    edit: impl Fn(&mut Objects) -> Result<(), StepError> + Send + Sync + 'static,
) -> ApplyManifest {
    let file = site.contents.files_in(&site.release, component).next();
    let path = file.map(|file| site.tree.path(&file.path));
    let render = move || {
        let Some(path) = &path else {
            return Err(
                StepError::new(format!("the bundle holds no manifest of {component}"))
                    .with_hint("bundle again with the config of this site"),
            );
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| StepError::new(format!("cannot read {path}: {error}")))?;
        let mut objects = Objects::read(path, &text)?;
        edit(&mut objects)?;
        Ok(objects.into_list())
    };
    ApplyManifest {
        name: component.to_owned(),
        content: Content::Late {
            takes: Vec::new(),
            render: Arc::new(render),
        },
    }
}

/// Every object of a manifest.
pub(super) struct Objects {
    /// What errors call the manifest.
    name: String,
    items: Vec<Value>,
}

impl Objects {
    pub(super) fn read(path: &Utf8Path, text: &str) -> Result<Self, StepError> {
        let name = path.file_name().unwrap_or(path.as_str()).to_owned();
        let items = cluster::documents(text)
            .map_err(|error| StepError::new(format!("cannot read {path}: {error}")))?;
        Ok(Self { name, items })
    }

    /// All of them as one object. JSON is YAML, and leaves no doubt about what is a text.
    pub(super) fn into_list(self) -> String {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": self.items });
        format!("{list:#}\n")
    }

    /// The object of this kind and name, in whatever namespace.
    pub(super) fn object(&mut self, kind: &str, name: &str) -> Result<Place<'_>, StepError> {
        let called = format!("{kind} {name}");
        let is_meant = |item: &&mut Value| {
            item["kind"].as_str() == Some(kind) && item["metadata"]["name"].as_str() == Some(name)
        };
        match self.items.iter_mut().find(is_meant) {
            Some(value) => Ok(Place {
                of: self.name.clone(),
                name: called,
                value,
            }),
            None => Err(lacks(&self.name, &called)),
        }
    }
}

fn lacks(manifest: &str, what: &str) -> StepError {
    StepError::new(format!("{manifest} has no {what}")).with_hint(
        "this version of the plugin is laid out in another way than kubexm knows; bundle another, named in spec.versions",
    )
}

/// A value somewhere in a manifest.
pub(super) struct Place<'m> {
    of: String,
    name: String,
    value: &'m mut Value,
}

impl<'m> Place<'m> {
    /// The value below these keys.
    pub(super) fn at(self, keys: &[&str]) -> Result<Self, StepError> {
        let name = format!("{} in {}", keys.join("."), self.name);
        Ok(Self {
            name,
            ..self.below(keys)?
        })
    }

    /// The same, where errors need not tell the way.
    fn below(self, keys: &[&str]) -> Result<Self, StepError> {
        let Self { of, name, value } = self;
        let mut below = Some(value);
        for key in keys {
            below = below.and_then(|value| value.get_mut(*key));
        }
        match below {
            Some(value) => Ok(Self { of, name, value }),
            None => Err(lacks(&of, &format!("{} in {name}", keys.join(".")))),
        }
    }

    /// The item of a list that has this value under a key.
    fn item(self, what: &str, key: &str, wanted: &str) -> Result<Self, StepError> {
        let Self { of, name, value } = self;
        let name = format!("{what} {wanted} in {name}");
        let items: Option<&'m mut Vec<Value>> = value.as_array_mut();
        let mut items = items.into_iter().flatten();
        match items.find(|item| item[key].as_str() == Some(wanted)) {
            Some(value) => Ok(Self { of, name, value }),
            None => Err(lacks(&of, &name)),
        }
    }

    /// A container of a workload.
    pub(super) fn container(self, name: &str) -> Result<Self, StepError> {
        self.below(&["spec", "template", "spec", "containers"])?
            .item("container", "name", name)
    }

    /// The plugin of this type in a CNI configuration.
    pub(super) fn cni_plugin(self, kind: &str) -> Result<Self, StepError> {
        self.below(&["plugins"])?.item("plugin", "type", kind)
    }

    pub(super) fn set(self, value: impl Into<Value>) {
        *self.value = value.into();
    }

    /// Changes a variable of a container's environment that must be there.
    pub(super) fn change_env(self, name: &str, value: &str) -> Result<(), StepError> {
        let variable = self.below(&["env"])?.item("variable", "name", name)?;
        variable.set(json!({ "name": name, "value": value }));
        Ok(())
    }

    /// Sets a variable of a container's environment, whether it is there or not.
    pub(super) fn set_env(self, name: &str, value: &str) -> Result<(), StepError> {
        self.set_variable(name, json!({ "name": name, "value": value }))
    }

    /// The same, to what Kubernetes knows of the pod.
    pub(super) fn set_env_of_field(self, name: &str, field: &str) -> Result<(), StepError> {
        let from = json!({ "fieldRef": { "fieldPath": field } });
        self.set_variable(name, json!({ "name": name, "valueFrom": from }))
    }

    fn set_variable(self, name: &str, variable: Value) -> Result<(), StepError> {
        let env = self.below(&["env"])?;
        let Some(variables) = env.value.as_array_mut() else {
            return Err(lacks(&env.of, &env.name));
        };
        variables.retain(|variable| variable["name"].as_str() != Some(name));
        variables.push(variable);
        Ok(())
    }

    /// Adds a word to a list.
    pub(super) fn with(self, word: &str) -> Result<(), StepError> {
        let Some(items) = self.value.as_array_mut() else {
            return Err(lacks(&self.of, &self.name));
        };
        items.push(word.into());
        Ok(())
    }

    /// Takes words out of a list.
    pub(super) fn without(self, words: &[&str]) {
        let is_meant = |item: &Value| item.as_str().is_some_and(|word| words.contains(&word));
        if let Some(items) = self.value.as_array_mut() {
            items.retain(|item| !is_meant(item));
        }
    }

    /// Changes JSON that is written in a text.
    pub(super) fn edit_json(
        self,
        placeholders: &[(&str, String)],
        edit: impl FnOnce(Place<'_>) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let Self { of, name, value } = self;
        let text = value.as_str().ok_or_else(|| lacks(&of, &name))?;
        let fill = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        let filled = placeholders.iter().fold(text.to_owned(), fill);
        let mut inner: Value = serde_json::from_str(&filled)
            .map_err(|error| StepError::new(format!("{name} of {of} is not JSON: {error}")))?;
        edit(Place {
            of,
            name,
            value: &mut inner,
        })?;
        *value = Value::String(format!("{inner:#}\n"));
        Ok(())
    }

    /// Puts values under keys, whether there are any or not.
    pub(super) fn merge<V: Clone + Into<Value>>(
        self,
        entries: &[(&str, V)],
    ) -> Result<(), StepError> {
        let Some(map) = self.value.as_object_mut() else {
            return Err(lacks(&self.of, &self.name));
        };
        for (key, value) in entries {
            map.insert((*key).to_owned(), value.clone().into());
        }
        Ok(())
    }

    /// The same place, if there is something below these keys.
    pub(super) fn must(self, keys: &[&str]) -> Result<Self, StepError> {
        let below = keys
            .iter()
            .try_fold(&*self.value, |value, key| value.get(*key));
        if below.is_some() {
            return Ok(self);
        }
        let name = format!("{} in {}", keys.join("."), self.name);
        Err(lacks(&self.of, &name))
    }
}
