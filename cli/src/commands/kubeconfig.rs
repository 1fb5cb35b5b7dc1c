use std::fs;
use std::io::{self, Write};

use camino::Utf8Path;
use pipeline::Kubeconfig;

use crate::args::KubeconfigArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::{input, site};

pub fn run(args: &KubeconfigArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.tree.config, &args.tree.work_dir, printer)?;
    let handed = pipeline::kubeconfig(&site, args.server.as_deref())?;
    match &args.out {
        None => printer.raw(handed.text.as_bytes())?,
        Some(path) => {
            only_its_own(path, &handed)?;
            write(path, &handed.text).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
            printer.remark(format_args!("{path} is written, readable for you alone"));
        }
    }
    let Kubeconfig { server, name, .. } = handed;
    printer.remark(format_args!(
        "it asks {server}, and expects the certificate of {name}"
    ));
    Ok(())
}

/// What lies there may hold the credentials of other clusters: it gives way only where it is this one's alone.
fn only_its_own(path: &Utf8Path, handed: &Kubeconfig) -> Result<(), Failure> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.is_file() => input::read(path)?,
        Ok(_) => Vec::new(),
        Err(source) => {
            return Err(Failure::Write {
                path: path.to_owned(),
                source,
            });
        }
    };
    if str::from_utf8(&there).is_ok_and(|there| handed.replaces(there)) {
        return Ok(());
    }
    Err(Failure::Usage {
        message: format!("{path} is there, and is no kubeconfig of this cluster alone"),
        hint: Some(format!(
            "name another file with -o; both as one: KUBECONFIG={path}:OTHER kubectl config view --flatten"
        )),
    })
}

/// Whole or not at all, and never readable for others, not even for a moment.
fn write(path: &Utf8Path, text: &str) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != "" => dir,
        _ => Utf8Path::new("."),
    };
    // The error of a file in a directory that is not there would name that file.
    fs::metadata(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
