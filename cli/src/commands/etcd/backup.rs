use std::process;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use pipeline::{BackupNote, Options, Session, Slot};
use serde::Serialize;

use crate::args::EtcdBackupArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes};
use crate::run::Run;
use crate::{access, runtime, signals, site};

/// What was saved, and where.
#[derive(Serialize)]
struct Saved {
    path: Utf8PathBuf,
    #[serde(flatten)]
    note: BackupNote,
}

pub fn run(args: &EtcdBackupArgs, printer: &Printer) -> Result<(), Failure> {
    let of = &args.site;
    let site = site::bare(&of.config, &of.work_dir, printer)?;
    let path = args.out.clone().unwrap_or_else(|| {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        site.tree.backups().join(format!("etcd-{time}.db"))
    });
    // The directory of a bare name is this one.
    let path = match path.parent() {
        Some(dir) if dir.as_str().is_empty() => Utf8Path::new(".").join(&path),
        _ => path,
    };
    if path.exists() {
        return Err(Failure::Usage {
            message: format!("{path} is there already"),
            hint: Some("no backup replaces another: name another file".to_owned()),
        });
    }
    let saved = Slot::new("the snapshot");
    let graph = pipeline::etcd_backup(&site, &path, &saved)?;
    let inventory = pipeline::inventory(&site.cluster, &access::recorded(&of.access, &site.tree))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let session = Session::begin(
        &site.tree,
        &format!("etcd backup, process {}", process::id()),
    )?;
    let run = Run {
        command: "etcd backup",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: String::new(),
            jobs: 1,
            inject_error: None,
        };
        let ran = session.run(&graph, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })?;
    let Some(note) = saved.get().cloned() else {
        return Ok(());
    };
    match printer.format() {
        Format::Json => printer.document(&Saved { path, note })?,
        Format::Text => printer.result(format_args!(
            "{path}: {}, {} keys, revision {}, from {}",
            bytes(note.bytes),
            note.keys,
            note.revision,
            note.from
        ))?,
    }
    Ok(())
}
