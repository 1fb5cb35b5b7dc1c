use std::fs::File;
use std::io::Write;

use camino::Utf8Path;

use crate::args::ConfigCommand;
use crate::error::Failure;
use crate::output::Printer;

/// A config to start from.
const STARTER: &str = include_str!("starter.yaml");

pub fn run(command: ConfigCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        ConfigCommand::Init(args) => match args.out {
            Some(path) => create(&path),
            None => Ok(printer.raw(STARTER.as_bytes())?),
        },
        other => Err(Failure::Usage {
            message: format!("{other:?} does not act yet"),
            hint: None,
        }),
    }
}

/// Never over a file that is there: it may be somebody's work.
fn create(path: &Utf8Path) -> Result<(), Failure> {
    let failure = |source| Failure::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = File::create_new(path).map_err(failure)?;
    file.write_all(STARTER.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failure)
}
