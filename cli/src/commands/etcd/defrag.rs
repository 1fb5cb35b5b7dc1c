use pipeline::MemberSeen;

use super::{Members, alone, members};
use crate::args::EtcdDefragArgs;
use crate::error::{Exit, Failure};
use crate::output::{Printer, bytes};

pub fn run(args: &EtcdDefragArgs, printer: &Printer) -> Result<(), Failure> {
    let (site, _, seen) = members(&args.site, printer)?;
    let silent: Vec<&(String, Result<MemberSeen, String>)> =
        seen.iter().filter(|(_, seen)| !answers(seen)).collect();
    if !silent.is_empty() {
        for (name, seen) in &silent {
            let why = match seen {
                Ok(seen) => seen.trouble.clone().unwrap_or_default(),
                Err(why) => why.clone(),
            };
            printer.warning(format_args!("{name}: {why}"));
        }
        printer.remark("nothing was defragmented: a member does not answer meanwhile, and all others must be healthy");
        return Err(Failure::Told(Exit::Failed));
    }
    let order = order(&seen);
    for (name, seen) in &seen {
        if let Ok(seen) = seen
            && let Some(told) = &seen.told
            && !told.defrag_pays()
        {
            printer.remark(format_args!(
                "{name}: {} of {} are in use: it does not pay",
                bytes(told.in_use_bytes),
                bytes(told.db_bytes)
            ));
        }
    }
    if order.is_empty() {
        return Ok(());
    }
    let graph = pipeline::etcd_defrag(&site, &order)?;
    alone(
        "etcd defrag",
        &graph,
        &site,
        (&args.site, &args.lease),
        printer,
    )
}

fn answers(seen: &Result<MemberSeen, String>) -> bool {
    seen.as_ref().is_ok_and(|seen| seen.told.is_some())
}

/// Those for which it pays, the leader last: as long as it answers nobody there is no leader.
fn order(members: &Members) -> Vec<String> {
    let mut pays: Vec<(bool, &str)> = members
        .iter()
        .filter_map(|(name, seen)| {
            let told = seen.as_ref().ok()?.told.as_ref()?;
            told.defrag_pays().then_some((told.leader, name.as_str()))
        })
        .collect();
    pays.sort_by_key(|(leader, _)| *leader);
    pays.into_iter().map(|(_, name)| name.to_owned()).collect()
}
