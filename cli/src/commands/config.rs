use std::fs::File;
use std::io::{self, Write};

use camino::Utf8Path;
use cluster::{Cluster, KeyPath, Problem, Severity};
use serde::Serialize;

use super::explain;
use crate::args::ConfigCommand;
use crate::config::{self, Config};
use crate::error::{Failure, ProblemEntry};
use crate::output::{Format, Printer};

pub fn run(command: &ConfigCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        ConfigCommand::Validate(args) => validate(&config::load(&args.config, printer)?, printer),
        ConfigCommand::Show(args) => show(&config::load(&args.config, printer)?, printer),
        ConfigCommand::Explain(args) => explain::run(args, printer),
        ConfigCommand::Schema => Ok(printer.file(&cluster::schema())?),
        ConfigCommand::Init(args) => match &args.out {
            Some(path) => create(path),
            None => Ok(printer.raw(cluster::init_template().as_bytes())?),
        },
    }
}

/// What is said of a config without mistakes.
#[derive(Serialize)]
struct Validated<'a> {
    config: &'a Utf8Path,
    cluster: &'a str,
    valid: bool,
    warnings: Vec<ProblemEntry>,
    not_yet_acting: Vec<String>,
}

fn validate(config: &Config, printer: &Printer) -> Result<(), Failure> {
    let Config { name, parsed } = config;
    let mut more = config.require_bundle(&[])?;
    more.extend(parsed.locate(timezone(&parsed.cluster)).list().to_vec());
    for problem in &more {
        printer.problem(&problem.render(name.as_str()));
    }
    if printer.format() == Format::Json {
        let not_yet_acting = parsed
            .not_yet_acting()
            .iter()
            .map(ToString::to_string)
            .collect();
        let cluster = parsed.cluster.name();
        return Ok(printer.document(&Validated {
            config: name,
            cluster,
            valid: true,
            warnings: parsed
                .warnings
                .iter()
                .chain(&more)
                .map(ProblemEntry::from)
                .collect(),
            not_yet_acting,
        })?);
    }
    if let Some(text) = config.not_yet_acting() {
        printer.warning(text);
    }
    Ok(printer.result(format_args!("{name}: {}", printer.paint().good("valid")))?)
}

/// A time zone that this machine's own table does not have.
fn timezone(cluster: &Cluster) -> Vec<Problem> {
    let zones = jiff::tz::db();
    let name = cluster.spec.system.timezone.as_deref();
    let unknown =
        name.filter(|name| zones.available().next().is_some() && zones.get(name).is_err());
    let warning = unknown.map(|name| Problem {
        severity: Severity::Warning,
        location: None,
        path: KeyPath::of("spec.system.timezone"),
        message: format!("this machine knows no time zone '{name}'"),
        hint: Some("timedatectl list-timezones lists them".to_owned()),
    });
    warning.into_iter().collect()
}

fn show(config: &Config, printer: &Printer) -> Result<(), Failure> {
    let cluster = &config.parsed.cluster;
    match printer.format() {
        Format::Json => printer.document(&cluster.written_out())?,
        Format::Text => printer.raw(cluster.to_yaml()?.as_bytes())?,
    }
    Ok(())
}

/// Never over a file that is there: it may be somebody's work.
fn create(path: &Utf8Path) -> Result<(), Failure> {
    let failure = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => Failure::Usage {
            message: format!("{path} is there already"),
            hint: Some("give another name with -o; no file is ever overwritten".to_owned()),
        },
        _ => Failure::Write {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = File::create_new(path).map_err(failure)?;
    let text = cluster::init_template().as_bytes();
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .map_err(failure)
}
