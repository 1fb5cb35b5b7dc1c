use pipeline::{CertificateSeen, OPERATOR, OffsetDateTime};
use serde::Serialize;

use crate::args::CertsCheckArgs;
use crate::error::{Exit, Failure};
use crate::output::{Column, Format, Printer, count, table};
use crate::{access, runtime, signals, site};

/// A certificate where it lies.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    host: String,
    #[serde(flatten)]
    seen: CertificateSeen,
    days_left: i64,
    what: &'static str,
    read_by: &'static str,
    restart: &'static str,
}

pub fn run(args: &CertsCheckArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::bare(&args.config, &args.work_dir, printer)?;
    let inventory = pipeline::inventory(&site.cluster, &access::of(&args.access))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let cancel = signals::watch(printer.work())?;
    let asked = pipeline::certificates(&site, &inventory, runtime::jobs(None), &cancel);
    let asked = runtime.block_on(asked)?;
    let now = OffsetDateTime::now_utc();
    let (mut rows, mut silent) = (Vec::new(), Vec::new());
    for (host, seen) in asked {
        match seen {
            Ok(seen) => rows.extend(seen.into_iter().map(|seen| row(&host, seen, now))),
            Err(why) => silent.push(format!("{host}: {why}")),
        }
    }
    rows.sort_by_key(|row| row.days_left);
    match printer.format() {
        Format::Json => printer.document(&rows)?,
        Format::Text if rows.is_empty() => printer.result("no certificate was found")?,
        Format::Text => printer.result(drawn(&rows))?,
    }
    if let Some((told, hint)) = site::rotation(&site)? {
        printer.warning(format_args!("{told}: {hint}"));
    }
    for line in &silent {
        printer.warning(line);
    }
    let soon: Vec<&Row> = rows
        .iter()
        .filter(|row| row.days_left < args.warn.0)
        .collect();
    if !soon.is_empty() {
        printer.warning(format_args!(
            "{} within {}: kubexm certs renew makes all but authorities anew",
            if soon.len() == 1 {
                "1 certificate ends".to_owned()
            } else {
                format!("{} certificates end", soon.len())
            },
            count(args.warn.0.unsigned_abs(), "day")
        ));
    }
    if soon.is_empty() && silent.is_empty() {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

fn row(host: &str, seen: CertificateSeen, now: OffsetDateTime) -> Row {
    let place = seen.place().filter(|_| host != OPERATOR);
    Row {
        host: host.to_owned(),
        days_left: seen.days_left(now),
        what: place.map_or("-", |place| place.what),
        read_by: place.map_or(if host == OPERATOR { "kubexm" } else { "?" }, |place| {
            place.read_by
        }),
        restart: place.map_or("-", |place| place.restart),
        seen,
    }
}

fn drawn(rows: &[Row]) -> String {
    let columns = [
        Column::Number("days left"),
        Column::Text("host"),
        Column::Text("certificate"),
        Column::Text("authority"),
        Column::Text("read by"),
        Column::Text("restart"),
    ];
    let cells = rows.iter().map(|row| {
        let path = if row.host == OPERATOR {
            let (_, below) = row
                .seen
                .path
                .rsplit_once("/certs/")
                .unwrap_or(("", &row.seen.path));
            format!("certs/{below}")
        } else {
            row.seen.path.clone()
        };
        let left = if row.days_left < 0 {
            "ended".to_owned()
        } else {
            row.days_left.to_string()
        };
        vec![
            left,
            row.host.clone(),
            path,
            if row.seen.is_authority {
                "itself".to_owned()
            } else {
                row.seen.authority.clone()
            },
            row.read_by.to_owned(),
            row.restart.to_owned(),
        ]
    });
    table(&columns, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_comes_first_with_who_reads_it() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let seen = |path: &str, days: i64, is_authority| CertificateSeen {
            path: path.into(),
            subject: "kube-apiserver".into(),
            authority: "kubernetes-ca".into(),
            is_authority,
            ends: OffsetDateTime::from_unix_timestamp(days * 86_400).unwrap(),
        };
        let rows = [
            row(
                "m1",
                seen("/etc/kubernetes/pki/apiserver.crt", -3, false),
                now,
            ),
            row("m1", seen("/etc/etcd/pki/peer.crt", 12, false), now),
            row(
                OPERATOR,
                seen("/srv/.kubexm/c/certs/etcd/ca.crt", 3650, true),
                now,
            ),
            row(
                "m1",
                seen("/etc/kubernetes/pki/apiserver-etcd-client.crt", 3650, false),
                now,
            ),
        ];
        insta::assert_snapshot!(drawn(&rows));
        let json = serde_json::to_value(&rows[1]).unwrap();
        assert_eq!(json["daysLeft"], 12);
        assert_eq!(json["ends"], "1970-01-13T00:00:00Z");
    }
}
