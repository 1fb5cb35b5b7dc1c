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
    /// Where the cluster's keys are, encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Utf8PathBuf>,
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
    let keys = pipeline::keys_of(&path);
    if let Some(there) = [&path, &keys].into_iter().find(|path| path.exists()) {
        return Err(Failure::Usage {
            message: format!("{there} is there already"),
            hint: Some("no backup replaces another: name another file".to_owned()),
        });
    }
    let recipients = pipeline::recipients(&site, &args.recipient)?;
    let keys = recipients.is_some().then_some(keys);
    let saved = Slot::new("the snapshot");
    let graph = pipeline::etcd_backup(&site, &path, &saved, recipients.as_ref())?;
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
        Format::Json => printer.document(&Saved { path, keys, note })?,
        Format::Text => printer.result(format_args!(
            "{path}: {}, {} keys, revision {}, from {}{}",
            bytes(note.bytes),
            note.keys,
            note.revision,
            note.from,
            keys.as_ref().map_or_else(String::new, |keys| format!(
                "\n{keys}: the cluster's authorities and keys, encrypted"
            ))
        ))?,
    }
    if recipients.is_none() {
        printer.remark(
            "no authorities and keys are with it, and on other hosts it is of no use without them: keep .kubexm/<cluster>/certs \
             too, or name a --recipient",
        );
    }
    Ok(())
}
