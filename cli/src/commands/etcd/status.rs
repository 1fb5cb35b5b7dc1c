use camino::Utf8Path;
use jiff::Timestamp;
use pipeline::{BackupSeen, MemberSeen, MemberState};
use serde::Serialize;

use super::newest::{Newest, newest};
use super::{Members, members};
use crate::args::EtcdStatusArgs;
use crate::error::{Exit, Failure};
use crate::output::{Column, Format, Printer, bytes, table};

/// The store as all of its members tell of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    cluster: String,
    healthy: bool,
    members: Vec<Row>,
    /// Who takes part in the cluster, and is not in the config.
    strangers: Vec<String>,
    /// Of all that this machine and the members have.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_backup: Option<Newest>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row {
    Seen(Box<MemberSeen>),
    Silent {
        name: String,
        state: &'static str,
        trouble: String,
    },
}

pub fn run(args: &EtcdStatusArgs, printer: &Printer) -> Result<(), Failure> {
    let (site, _, seen) = members(&args.site, printer)?;
    let now = Timestamp::now();
    let backups = site.tree.backups();
    let status = status(site.cluster.name(), seen, |members| {
        newest(&backups, site.cluster.name(), members)
    });
    match printer.format() {
        Format::Json => printer.document(&status)?,
        Format::Text => {
            printer.result(drawn(&status, now))?;
            printer.result(told_of_backup(&status, &args.site.config, now))?;
        }
    }
    for line in troubles(&status, now) {
        printer.warning(line);
    }
    if status.healthy && status.backed_up(now) {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

fn status(
    cluster: &str,
    members: Members,
    newest: impl FnOnce(&mut dyn Iterator<Item = &MemberSeen>) -> Option<Newest>,
) -> Status {
    let rows: Vec<Row> = members
        .into_iter()
        .map(|(name, seen)| match seen {
            Ok(seen) => Row::Seen(Box::new(seen)),
            Err(trouble) => Row::Silent {
                name,
                state: "unreachable",
                trouble,
            },
        })
        .collect();
    let seen = || {
        rows.iter().filter_map(|row| match row {
            Row::Seen(seen) => Some(seen),
            Row::Silent { .. } => None,
        })
    };
    let names: Vec<&str> = rows.iter().map(Row::name).collect();
    let mut strangers: Vec<String> = seen()
        .flat_map(|member| &member.knows)
        .filter(|known| !names.contains(&known.as_str()))
        .cloned()
        .collect();
    strangers.sort_unstable();
    strangers.dedup();
    let healthy = strangers.is_empty()
        && rows.len() == seen().count()
        && seen().all(|member| {
            member.state == MemberState::Healthy
                && member.alarms.is_empty()
                && member.told.as_ref().is_some_and(|told| !told.learner)
        });
    let newest_backup = newest(&mut seen().map(Box::as_ref));
    Status {
        cluster: cluster.to_owned(),
        healthy,
        members: rows,
        strangers,
        newest_backup,
    }
}

impl Status {
    fn backups(&self) -> impl Iterator<Item = &BackupSeen> {
        self.members.iter().filter_map(|row| match row {
            Row::Seen(seen) => seen.backup.as_ref(),
            Row::Silent { .. } => None,
        })
    }

    /// No timer has anything to complain of, and none is late.
    fn backed_up(&self, now: Timestamp) -> bool {
        let is_well = |backup: &BackupSeen| backup.trouble.is_none() && !backup.is_overdue(now);
        self.backups().all(is_well)
    }
}

impl Row {
    fn name(&self) -> &str {
        match self {
            Self::Seen(seen) => &seen.name,
            Self::Silent { name, .. } => name,
        }
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Healthy => "healthy",
        MemberState::Unhealthy => "unhealthy",
        MemberState::Down => "down",
        MemberState::Damaged => "damaged",
        MemberState::Void => "no data",
    }
}

/// What could be restored, and how. A store that is well needs no command.
fn told_of_backup(status: &Status, config: &Utf8Path, now: Timestamp) -> String {
    let Some(newest) = &status.newest_backup else {
        return "newest backup: none on this machine, and none that a member's timer has taken: kubexm etcd backup".to_owned();
    };
    let told = format!(
        "newest backup: {}, {}",
        newest.place(),
        age(newest.taken, now)
    );
    if status.healthy {
        return told;
    }
    format!(
        "{told}\nwhere most members have lost their data, it is restored by: {}",
        newest.command(config)
    )
}

/// "3 h ago"
fn age(taken: Timestamp, now: Timestamp) -> String {
    let minutes = (now.as_second() - taken.as_second()) / 60;
    match minutes {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

fn last_backup(backup: Option<&BackupSeen>, now: Timestamp) -> String {
    match backup.map(|backup| &backup.newest) {
        None => "-".to_owned(),
        Some(None) => "none yet".to_owned(),
        Some(Some(newest)) => age(newest.taken, now),
    }
}

fn drawn(status: &Status, now: Timestamp) -> String {
    let timers = status.backups().next().is_some();
    let rows = status.members.iter().map(|row| {
        let mut cells = cells(row);
        if timers {
            let backup = match row {
                Row::Seen(seen) => seen.backup.as_ref(),
                Row::Silent { .. } => None,
            };
            cells.push(last_backup(backup, now));
        }
        cells
    });
    let mut columns = vec![
        Column::Text("member"),
        Column::Text("state"),
        Column::Text("role"),
        Column::Text("version"),
        Column::Number("size"),
        Column::Number("in use"),
        Column::Number("quota"),
        Column::Number("read"),
        Column::Number("raft index"),
        Column::Text("alarms"),
    ];
    if timers {
        columns.push(Column::Text("last backup"));
    }
    table(&columns, rows)
}

fn cells(row: &Row) -> Vec<String> {
    let seen = match row {
        Row::Seen(seen) => seen,
        Row::Silent { name, state, .. } => {
            let mut cells = vec![name.clone(), (*state).to_owned()];
            cells.extend((0..8).map(|_| "-".to_owned()));
            return cells;
        }
    };
    let mut cells = vec![seen.name.clone(), state(seen.state).to_owned()];
    let alarms: Vec<&str> = seen.alarms.iter().map(|alarm| alarm.name()).collect();
    match &seen.told {
        None => cells.extend((0..8).map(|_| "-".to_owned())),
        Some(told) => cells.extend([
            match (told.leader, told.learner) {
                (true, _) => "leader",
                (_, true) => "learner",
                _ => "follower",
            }
            .to_owned(),
            told.version.clone(),
            bytes(told.db_bytes),
            bytes(told.in_use_bytes),
            bytes(told.quota_bytes),
            told.read_ms
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
            told.raft_index.to_string(),
            if alarms.is_empty() {
                "none".to_owned()
            } else {
                alarms.join(",")
            },
        ]),
    }
    cells
}

/// What is wrong, member by member.
fn troubles(status: &Status, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &status.members {
        match row {
            Row::Silent { name, trouble, .. } => lines.push(format!("{name}: {trouble}")),
            Row::Seen(seen) => {
                if let Some(trouble) = &seen.trouble {
                    lines.push(format!("{}: {trouble}", seen.name));
                }
                for alarm in &seen.alarms {
                    lines.push(format!(
                        "{}: alarm {}: {}",
                        seen.name,
                        alarm.name(),
                        alarm.cause()
                    ));
                }
                if let Some(backup) = &seen.backup
                    && let Some(trouble) = &backup.trouble
                {
                    let last = match &backup.newest {
                        Some(newest) => format!("the newest is {}/{}", backup.dir, newest.file),
                        None => format!("{} holds none", backup.dir),
                    };
                    lines.push(format!("{}: {trouble}; {last}", seen.name));
                }
                if let Some(backup) = &seen.backup
                    && backup.trouble.is_none()
                    && backup.is_overdue(now)
                    && let (Some(newest), Some(every)) = (&backup.newest, backup.every)
                {
                    lines.push(format!(
                        "{}: its newest snapshot was taken {}, and its timer is to take one every {} h: journalctl -u \
                         kubexm-etcd-backup there",
                        seen.name,
                        age(newest.taken, now),
                        (every + 1800) / 3600
                    ));
                }
                if seen.told.as_ref().is_some_and(|told| told.learner) {
                    lines.push(format!("{} is still a learner and has no vote", seen.name));
                }
            }
        }
    }
    for stranger in &status.strangers {
        lines.push(format!(
            "etcd has a member that the config does not list: {stranger}"
        ));
    }
    lines
}

#[cfg(test)]
mod tests;
