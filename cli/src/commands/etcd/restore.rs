use std::process;

use pipeline::{
    BackupNote, Bindings, CopiedStore, MissingNote, OnTrust, Options, OtherAuthorities,
    RestorePhase, Revisions, Session, Site,
};

use tokio_util::sync::CancellationToken;

use crate::args::EtcdRestoreArgs;
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, runtime, signals, site};

pub fn run(args: &EtcdRestoreArgs, printer: &Printer) -> Result<(), Failure> {
    let of = &args.site;
    let site = site::existing(&of.config, &of.work_dir, printer)?;
    let copied = copied(args.copied_store);
    let (snapshot, note) = pipeline::judge_snapshot(&args.file, copied)?;
    pipeline::insist_on_keys(&site, &args.file)?;
    let plan = pipeline::restore_plan(&site, snapshot, note.as_ref(), on_trust(args))?;
    if note
        .as_ref()
        .is_some_and(|note| note.bound_to == Bindings::default())
    {
        printer.warning(
            "the snapshot's note does not tell with which authorities and keys of encryption it goes: with others its tokens, \
             certificates and encrypted Secrets are worth nothing",
        );
    }
    let graph = pipeline::etcd_restore(&site, &plan)?;
    let inventory = pipeline::inventory(&site.cluster, &access::recorded(&of.access, &site.tree))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    if let Some(applied) = site::applied(&site, printer) {
        let left = pipeline::left_at_work(&applied.cluster, &site.cluster);
        if !left.is_empty() {
            let cluster = applied.cluster.with_logins_of(&site.cluster);
            let inventory = pipeline::inventory(&cluster, &access::of(&of.access))?;
            // Nothing has begun yet: an interrupt ends the process.
            let cancel = CancellationToken::new();
            let jobs = runtime::jobs(args.jobs);
            let absent = pipeline::insist_on_absence(&applied, &left, &inventory, jobs, &cancel);
            runtime.block_on(absent)?;
            printer.warning(format_args!(
                "{} of the config applied last cannot be reached and is not in this one: it must never run again with \
                 its data of before",
                left.join(", ")
            ));
        }
    }
    if plan.restore.phase == RestorePhase::Swapped {
        printer.remark("all members have this snapshot's data already: what is stopped is started");
    } else if !args.yes {
        confirm(&site, note.as_ref(), args, printer)?;
    }
    if pipeline::revisions(&site) == Revisions::AsTheyAre {
        printer.warning(
            "this etcd is older than 3.5.10 and cannot raise revisions: start your own operators anew after the restore",
        );
    }
    let session = Session::begin(
        &site.tree,
        &format!("etcd restore, process {}", process::id()),
    )?;
    let looking = pipeline::etcd_look(&site)?;
    let leasing = claim::leasing("etcd restore", &site, args.lease.stale())?;
    let run = Run {
        command: "etcd restore",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: plan.snapshot.sha256.to_string(),
            jobs: runtime::jobs(args.jobs),
            inject_error: args.inject_error.clone(),
        };
        let graphs = (&graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })?;
    printer.remark(format_args!(
        "the data of before is on each member, in {}/kubexm-aside-*: remove it when you are sure",
        site.cluster.spec.etcd.data_dir
    ));
    Ok(())
}

fn on_trust(args: &EtcdRestoreArgs) -> OnTrust {
    OnTrust {
        note: if args.trust.without_note {
            MissingNote::Accept
        } else {
            MissingNote::Refuse
        },
        authorities: if args.trust.other_authorities {
            OtherAuthorities::Accept
        } else {
            OtherAuthorities::Refuse
        },
    }
}

pub fn copied(accepted: bool) -> CopiedStore {
    if accepted {
        CopiedStore::Accept
    } else {
        CopiedStore::Refuse
    }
}

fn confirm(
    site: &Site,
    note: Option<&BackupNote>,
    args: &EtcdRestoreArgs,
    printer: &Printer,
) -> Result<(), Failure> {
    let name = site.cluster.name();
    let taken = note.map_or_else(
        || format!("{} has no note beside it", args.file),
        |note| {
            format!(
                "{} was taken {:.0} from cluster {}, Kubernetes {}, etcd {}: {} keys, revision {}",
                args.file,
                note.taken,
                note.cluster,
                note.kubernetes,
                note.etcd,
                note.keys,
                note.revision
            )
        },
    );
    let told = format!(
        "{taken}.\n{name} goes back to it: all that was written since is lost. The API does not answer for some minutes; pods \
         keep running.\nType the cluster's name to go on:"
    );
    Question {
        what: format!("{name} shall go back to a snapshot"),
        told,
        word: name,
        of: "the cluster's name",
    }
    .ask(printer)
}
