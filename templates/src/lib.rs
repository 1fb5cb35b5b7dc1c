//! Every file that kubexm renders for a host: a template in `files/` and, beside it, the one typed context it takes.
//!
//! Undefined names are errors, nothing is escaped by itself: values go through the filter `quoted`.

mod containerd;
mod etcd;
mod os;
mod registry;

pub use containerd::{Containerd1, Containerd2, ContainerdUnit, Crictl, RegistryHosts};
pub use etcd::{BootstrapState, CorruptionCheck, EtcdBootstrap, EtcdEnvironment, EtcdUnit};
pub use os::{HostEntry, HostsBlock, Modules, Sysctls};
pub use registry::{RegistryConfig, RegistryUnit};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

/// A template's context.
pub trait Template: Serialize {
    /// The name for error messages: the template's file.
    const NAME: &'static str;
    const SOURCE: &'static str;

    /// The file's text.
    fn render(&self) -> Result<String, TemplateError>
    where
        Self: Sized,
    {
        environment()
            .and_then(|env| env.render_named_str(Self::NAME, Self::SOURCE, Serde(self)))
            .map_err(|source| TemplateError {
                name: Self::NAME,
                source,
            })
    }
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    let mut env = Environment::new();
    env.set_syntax(syntax);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.add_filter("quoted", quoted);
    Ok(env)
}

/// A template does not fit its context. Always a mistake in this crate.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {name}: {source:#}")]
pub struct TemplateError {
    name: &'static str,
    source: minijinja::Error,
}

/// A double-quoted string as JSON, TOML, YAML and systemd's environment files all read it.
fn quoted(value: &Value) -> String {
    let mut out = String::from('"');
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Implements [`Template`] for a context by the name of its file.
macro_rules! template {
    ($context:ty, $file:literal) => {
        impl $crate::Template for $context {
            const NAME: &'static str = $file;
            const SOURCE: &'static str = include_str!(concat!("../files/", $file));
        }
    };
}
pub(crate) use template;
