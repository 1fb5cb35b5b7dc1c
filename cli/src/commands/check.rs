use std::process;
use std::sync::Arc;

use pipeline::{Options, Session};

use crate::args::CheckArgs;
use crate::error::Failure;
use crate::output::{Findings, Printer};
use crate::run::Run;
use crate::{access, runtime, signals, site};

pub fn run(args: &CheckArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    let graph = pipeline::check(&site)?;
    let inventory =
        pipeline::inventory(&site.cluster, &access::recorded(&args.access, &site.tree))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let session = Session::begin(&site.tree, &format!("check, process {}", process::id()))?;
    let findings = Arc::new(Findings::default());
    let run = Run {
        command: "check",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    let ended = run.tell_for(printer, findings.clone(), |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: String::new(),
            jobs: runtime::jobs(args.jobs),
            inject_error: None,
        };
        let ran = session.run(&graph, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    });
    let shown = findings.show(printer);
    ended?;
    Ok(shown?)
}
