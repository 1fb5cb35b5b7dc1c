use pipeline::EtcdAlarm;
use serde::Serialize;

use super::{alone, members};
use crate::args::EtcdAlarmsArgs;
use crate::error::{Exit, Failure};
use crate::output::{Column, Format, Printer, table};

/// One alarm of one member.
#[derive(Serialize)]
struct Raised {
    member: String,
    alarm: EtcdAlarm,
    cause: &'static str,
    cure: &'static str,
    /// Etcd would raise it again at once.
    lasts: bool,
}

/// A store as full as this is about to refuse writes again.
const FULL_PERCENT: u64 = 95;

pub fn run(args: &EtcdAlarmsArgs, printer: &Printer) -> Result<(), Failure> {
    let (site, _, seen) = members(&args.site, printer)?;
    let mut raised = Vec::new();
    let mut heard = false;
    for (name, seen) in &seen {
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                printer.warning(format_args!("{name}: {why}"));
                continue;
            }
        };
        heard |= seen.told.is_some();
        let full = seen.told.as_ref().is_some_and(|told| {
            told.db_bytes * 100 >= told.quota_bytes.saturating_mul(FULL_PERCENT)
        });
        raised.extend(seen.alarms.iter().map(|alarm| Raised {
            member: name.clone(),
            alarm: *alarm,
            cause: alarm.cause(),
            cure: alarm.cure(),
            lasts: *alarm == EtcdAlarm::Nospace && full,
        }));
    }
    if !heard {
        printer.remark("no member of etcd answers: kubexm etcd status tells why");
        return Err(Failure::Told(Exit::Failed));
    }
    if args.disarm {
        if let Some(lasting) = raised.iter().find(|raised| raised.lasts) {
            return Err(Failure::Usage {
                message: format!(
                    "the cause of {} on {} is still there: its store is full",
                    lasting.alarm.name(),
                    lasting.member
                ),
                hint: Some(lasting.cure.to_owned()),
            });
        }
        let graph = pipeline::etcd_disarm(&site)?;
        return alone(
            "etcd alarms",
            &graph,
            &site,
            (&args.site, &args.lease),
            printer,
        );
    }
    match printer.format() {
        Format::Json => printer.document(&raised)?,
        Format::Text if raised.is_empty() => printer.result("no alarm")?,
        Format::Text => printer.result(drawn(&raised))?,
    }
    if raised.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

fn drawn(raised: &[Raised]) -> String {
    let rows = raised.iter().map(|raised| {
        vec![
            raised.member.clone(),
            raised.alarm.name().to_owned(),
            format!("{}\ncure: {}", raised.cause, raised.cure),
        ]
    });
    table(&["member", "alarm", "cause"].map(Column::Text), rows)
}
