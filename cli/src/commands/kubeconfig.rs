use std::fs;
use std::io::Write;

use camino::Utf8Path;
use pipeline::Kubeconfig;

use crate::args::KubeconfigArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::site;

pub fn run(args: &KubeconfigArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.tree.config, &args.tree.work_dir, printer)?;
    let Kubeconfig { text, server, name } = pipeline::kubeconfig(&site, args.server.as_deref())?;
    match &args.out {
        None => printer.raw(text.as_bytes())?,
        Some(path) => {
            write(path, &text).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
            printer.remark(format_args!("{path} is written, readable for you alone"));
        }
    }
    printer.remark(format_args!(
        "it asks {server}, and expects the certificate of {name}"
    ));
    Ok(())
}

/// Whole or not at all, and never readable for others, not even for a moment.
fn write(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != "" => dir,
        _ => Utf8Path::new("."),
    };
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
