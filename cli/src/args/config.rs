use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// Write, check and explain configs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm config init -o config.yaml
  kubexm config validate -f config.yaml
  kubexm config explain spec.etcd
  kubexm config schema > kubexm.schema.json")]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The verbs of `kubexm config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report all mistakes of a config at once
    #[command(after_help = "\
Examples:
  kubexm config validate -f config.yaml")]
    Validate(ConfigFile),
    /// Print a config with every default that it decides, and without any secret
    ///
    /// Versions that the config does not name go with this kubexm, and are decided when bundling: bundle --dry-run shows
    /// them.
    #[command(after_help = "\
Examples:
  kubexm config show -f config.yaml
  kubexm config show -f config.yaml --output json")]
    Show(ConfigFile),
    /// Explain a key: its type, default and meaning, whether it acts yet, and the keys below it
    ///
    /// It works without a config and without a network.
    #[command(after_help = "\
Examples:
  kubexm config explain
  kubexm config explain spec.etcd
  kubexm config explain spec.kubernetes.proxyMode
  kubexm config explain spec.hosts --output json")]
    Explain(ExplainArgs),
    /// Print the JSON schema of the config, for editors
    #[command(after_help = "\
Examples:
  kubexm config schema > kubexm.schema.json")]
    Schema,
    /// Print a config to start from
    #[command(after_help = "\
Examples:
  kubexm config init > config.yaml
  kubexm config init -o config.yaml")]
    Init(InitArgs),
}

/// Names one config.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The cluster's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
}

/// Names one key.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The key with all those around it, and dots between them [default: the whole config]
    #[arg(default_value = "", hide_default_value = true)]
    pub key: String,
}

/// Where a new config goes.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// A file that does not exist yet [default: stdout]
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
}
