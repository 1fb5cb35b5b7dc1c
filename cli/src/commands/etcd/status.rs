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
mod tests {
    use pipeline::{EtcdAlarm, KeptSnapshot, MemberTold};

    use super::*;

    fn told(leader: bool) -> MemberTold {
        MemberTold {
            id: "1f".into(),
            cluster_id: "c1".into(),
            version: "3.6.8".into(),
            leader,
            learner: false,
            revision: 7,
            raft_term: 2,
            raft_index: 1234,
            raft_applied: 1234,
            db_bytes: 40 << 20,
            in_use_bytes: 10 << 20,
            quota_bytes: 2 << 30,
            read_ms: Some(2.35),
        }
    }

    fn seen(name: &str, state: MemberState, told: Option<MemberTold>) -> MemberSeen {
        MemberSeen {
            name: name.into(),
            endpoint: format!("https://{name}:2379"),
            state,
            trouble: None,
            told,
            alarms: Vec::new(),
            backup: None,
            knows: vec!["e1".into(), "e2".into(), "e3".into()],
        }
    }

    #[test]
    fn members_in_columns_and_what_is_wrong_below() {
        let mut full = seen("e1", MemberState::Healthy, Some(told(true)));
        full.alarms = vec![EtcdAlarm::Nospace];
        let mut damaged = seen("e2", MemberState::Damaged, None);
        damaged.trouble = Some("damaged log: wal: crc mismatch".into());
        let members = vec![
            ("e1".to_owned(), Ok(full)),
            ("e2".to_owned(), Ok(damaged)),
            ("e4".to_owned(), Err("cannot reach e4".to_owned())),
        ];
        let status = status("c", members, |_| None);
        assert!(!status.healthy);
        insta::assert_snapshot!(drawn(&status, Timestamp::UNIX_EPOCH));
        insta::assert_snapshot!(troubles(&status, Timestamp::UNIX_EPOCH).join("\n"), @r"
        e1: alarm NOSPACE: a member's store has reached its quota: etcd refuses every write of the cluster
        e2: damaged log: wal: crc mismatch
        e4: cannot reach e4
        etcd has a member that the config does not list: e3
        ");
        let config = Utf8Path::new("site.yaml");
        insta::assert_snapshot!(told_of_backup(&status, config, Timestamp::UNIX_EPOCH), @"newest backup: none on this machine, and none that a member's timer has taken: kubexm etcd backup");
    }

    #[test]
    fn a_whole_cluster_is_healthy() {
        let members = ["e1", "e2", "e3"].map(|name| {
            let told = told(name == "e1");
            (
                name.to_owned(),
                Ok(seen(name, MemberState::Healthy, Some(told))),
            )
        });
        let status = status("c", members.into(), |_| None);
        assert!(status.healthy && troubles(&status, Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn a_timer_that_failed_is_no_good_news() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let backup = |newest: &str, trouble: Option<&str>| BackupSeen {
            dir: "/b".into(),
            kept: 1,
            newest: Some(KeptSnapshot {
                file: "etcd-e-1.db".into(),
                bytes: 1,
                taken: newest.parse().unwrap(),
            }),
            every: Some(21600),
            trouble: trouble.map(str::to_owned),
        };
        let mut members = ["e1", "e2", "e3"]
            .map(|name| seen(name, MemberState::Healthy, Some(told(name == "e1"))));
        members[0].backup = Some(backup("2026-11-30T11:15:00Z", None));
        members[1].backup = Some(backup("2026-11-28T11:00:00Z", Some("no room in /b")));
        members[2].backup = Some(BackupSeen {
            newest: None,
            ..backup("2026-11-28T11:00:00Z", None)
        });
        let status = status(
            "c",
            members.map(|seen| (seen.name.clone(), Ok(seen))).into(),
            |_| None,
        );
        assert!(status.healthy && !status.backed_up(now));
        insta::assert_snapshot!(drawn(&status, now));
        insta::assert_snapshot!(troubles(&status, now).join("\n"), @"e2: no room in /b; the newest is /b/etcd-e-1.db");
    }

    #[test]
    fn a_lost_store_is_told_with_what_brings_it_back() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let of = |state| {
            let told = (state == MemberState::Healthy).then(|| told(true));
            let member = MemberSeen {
                knows: vec!["e1".into()],
                ..seen("e1", state, told)
            };
            let newest = Newest {
                path: "/srv/.kubexm/c/backups/etcd.db".into(),
                host: None,
                taken: "2026-11-30T09:00:00Z".parse().unwrap(),
            };
            status("c", vec![("e1".to_owned(), Ok(member))], |_| Some(newest))
        };
        let told = |state| told_of_backup(&of(state), "site.yaml".into(), now);
        insta::assert_snapshot!(told(MemberState::Healthy), @"newest backup: /srv/.kubexm/c/backups/etcd.db, 3 h ago");
        insta::assert_snapshot!(told(MemberState::Damaged), @r"
        newest backup: /srv/.kubexm/c/backups/etcd.db, 3 h ago
        where most members have lost their data, it is restored by: kubexm etcd restore /srv/.kubexm/c/backups/etcd.db -f site.yaml
        ");
    }

    #[test]
    fn a_timer_that_is_late_is_told() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let mut late = seen("e1", MemberState::Healthy, Some(told(true)));
        late.knows = vec!["e1".into()];
        late.backup = Some(BackupSeen {
            dir: "/b".into(),
            kept: 1,
            newest: Some(KeptSnapshot {
                file: "etcd-e1-1.db".into(),
                bytes: 1,
                taken: "2026-11-29T12:00:00Z".parse().unwrap(),
            }),
            every: Some(21600),
            trouble: None,
        });
        let status = status("c", vec![("e1".to_owned(), Ok(late))], |_| None);
        assert!(status.healthy && !status.backed_up(now));
        insta::assert_snapshot!(troubles(&status, now).join("\n"), @"e1: its newest snapshot was taken 24 h ago, and its timer is to take one every 6 h: journalctl -u kubexm-etcd-backup there");
    }
}
