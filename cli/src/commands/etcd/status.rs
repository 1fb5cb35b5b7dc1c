use pipeline::{MemberSeen, MemberState};
use serde::Serialize;

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
    let status = status(site.cluster.name(), seen);
    match printer.format() {
        Format::Json => printer.document(&status)?,
        Format::Text => printer.result(drawn(&status))?,
    }
    for line in troubles(&status) {
        printer.warning(line);
    }
    if status.healthy {
        Ok(())
    } else {
        Err(Failure::Told(Exit::Failed))
    }
}

fn status(cluster: &str, members: Members) -> Status {
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
    Status {
        cluster: cluster.to_owned(),
        healthy,
        members: rows,
        strangers,
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

fn drawn(status: &Status) -> String {
    let rows = status.members.iter().map(|row| {
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
    });
    let columns = [
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
    table(&columns, rows)
}

/// What is wrong, member by member.
fn troubles(status: &Status) -> Vec<String> {
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
    use pipeline::{EtcdAlarm, MemberTold};

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
        let status = status("c", members);
        assert!(!status.healthy);
        insta::assert_snapshot!(drawn(&status));
        insta::assert_snapshot!(troubles(&status).join("\n"), @r"
        e1: alarm NOSPACE: a member's store has reached its quota: etcd refuses every write of the cluster
        e2: damaged log: wal: crc mismatch
        e4: cannot reach e4
        etcd has a member that the config does not list: e3
        ");
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
        let status = status("c", members.into());
        assert!(status.healthy && troubles(&status).is_empty());
    }
}
