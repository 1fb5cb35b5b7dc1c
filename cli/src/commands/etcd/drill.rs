use std::process;

use pipeline::{Drilled, Options, Session, Slot};

use super::restore::copied;
use crate::args::EtcdDrillArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes};
use crate::run::Run;
use crate::{runtime, signals, site};

pub fn run(args: &EtcdDrillArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    let (snapshot, note) = pipeline::judge_snapshot(&args.file, copied(args.copied_store))?;
    let drilled = Slot::new("what the drill has shown");
    let graph = pipeline::etcd_drill(&site, &snapshot, note, &drilled)?;
    let inventory = pipeline::operator_alone();
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let session = Session::begin(
        &site.tree,
        &format!("etcd drill, process {}", process::id()),
    )?;
    let run = Run {
        command: "etcd drill",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: snapshot.sha256.to_string(),
            jobs: 1,
            inject_error: None,
        };
        let ran = session.run(&graph, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })?;
    let Some(drilled) = drilled.get() else {
        return Ok(());
    };
    match printer.format() {
        Format::Json => printer.document(drilled)?,
        Format::Text => printer.result(told(drilled))?,
    }
    Ok(())
}

fn told(drilled: &Drilled) -> String {
    format!(
        "etcd {} serves it: {}, revision {}, {} keys, among them {} namespaces, {} nodes, {} secrets",
        drilled.etcd,
        bytes(drilled.bytes),
        drilled.revision,
        drilled.keys,
        drilled.namespaces,
        drilled.nodes,
        drilled.secrets
    )
}
