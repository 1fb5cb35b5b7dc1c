use std::fs;

use camino::Utf8Path;
use clap::CommandFactory;

use crate::args::Cli;
use crate::error::Failure;

pub fn run(dir: &Utf8Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|source| Failure::Write {
            path: dir.to_owned(),
            source,
        })
}
