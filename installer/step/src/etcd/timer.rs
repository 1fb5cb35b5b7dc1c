//! What a member's timer has kept of it, as its host tells.

use camino::Utf8PathBuf;
use engine::{Cx, StepError};
use host::Command;
use serde::Serialize;

use crate::shell::ask;

/// The timer that takes a member's snapshots, and where it keeps them.
#[derive(Clone, Debug)]
pub struct BackupTimer {
    pub timer: &'static str,
    pub service: &'static str,
    /// As systemd's `OnCalendar`.
    pub schedule: String,
    pub dir: Utf8PathBuf,
}

/// Its snapshots, and how its last run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSeen {
    pub dir: Utf8PathBuf,
    pub kept: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<KeptSnapshot>,
    /// The seconds from one of its next runs to the one behind, where systemd tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<i64>,
    /// Why there will be no other, or was none: the timer does not run, or its last run has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl BackupSeen {
    /// Whether its newest snapshot is older than its schedule explains: one run may be late, and not two.
    #[must_use]
    pub fn is_overdue(&self, now: jiff::Timestamp) -> bool {
        let (Some(newest), Some(every)) = (&self.newest, self.every) else {
            return false;
        };
        now.as_second() - newest.taken.as_second() > 2 * every
    }
}

/// A snapshot on a member.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptSnapshot {
    pub file: String,
    pub bytes: u64,
    /// As its name has it.
    pub taken: jiff::Timestamp,
}

impl BackupTimer {
    pub(crate) async fn look(&self, cx: &Cx, member: &str) -> Result<BackupSeen, StepError> {
        let (dir, prefix) = (
            host::quote(self.dir.as_str()),
            host::quote(&format!("etcd-{member}-")),
        );
        let (timer, service) = (self.timer, self.service);
        let schedule = host::quote(&self.schedule);
        let script = format!(
            "if cd {dir} 2>/dev/null; then for f in {prefix}????????T??????Z.db; do [ ! -e \"$f\" ] || \
             echo \"kept $(stat -c %s \"$f\") $f\"; done; fi
TZ=UTC systemd-analyze calendar --iterations=2 {schedule} 2>/dev/null | sed -n 's/^.*\\(Next elapse\\|#2\\): *//p' | \
             while read -r at; do echo \"next $(date -u -d \"$at\" +%s 2>/dev/null)\"; done
echo \"timer $(systemctl is-active {timer} 2>/dev/null)\"
echo \"$(systemctl show --property Result {service} 2>/dev/null)\"
echo \"said $(journalctl --no-pager --unit {service} --lines 50 --output cat 2>/dev/null | \
             sed -n 's/^no snapshot was taken: //p' | tail -n 1)\""
        );
        let told = ask(cx, Command::script(script)).await?.text();
        Ok(self.understood(member, &told))
    }

    fn understood(&self, member: &str, told: &str) -> BackupSeen {
        let prefix = format!("etcd-{member}-");
        let kept: Vec<KeptSnapshot> = told
            .lines()
            .filter_map(|line| line.strip_prefix("kept ")?.split_once(' '))
            .filter_map(|(bytes, file)| {
                let time = file.strip_prefix(&prefix)?.strip_suffix("Z.db")?;
                let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", time).ok()?;
                Some(KeptSnapshot {
                    file: file.to_owned(),
                    bytes: bytes.parse().ok()?,
                    taken: time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
                })
            })
            .collect();
        let runs = told.lines().filter_map(|line| line.strip_prefix("next "));
        let runs: Vec<i64> = runs.filter_map(|at| at.parse().ok()).collect();
        let every = match runs.as_slice() {
            [first, second] if second > first => Some(second - first),
            _ => None,
        };
        let word = |name: &str| {
            let mut lines = told.lines();
            lines.find_map(|line| line.strip_prefix(name).map(str::trim))
        };
        let failed = || match (word("Result="), word("said ")) {
            (None | Some("success" | ""), _) => None,
            (Some("exit-code"), Some(why)) if !why.is_empty() => Some(format!(
                "the last snapshot by the timer was not taken: {why}"
            )),
            (Some(result), _) => Some(format!(
                "the last run of {} ended by {result}",
                self.service
            )),
        };
        let trouble = match word("timer ") {
            Some("active") => failed(),
            state => Some(format!(
                "{} is {}: run kubexm install",
                self.timer,
                state
                    .filter(|state| !state.is_empty())
                    .unwrap_or("not there")
            )),
        };
        BackupSeen {
            dir: self.dir.clone(),
            kept: kept.len(),
            newest: kept.into_iter().max_by_key(|kept| kept.taken),
            every,
            trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(told: &str) -> BackupSeen {
        let timer = BackupTimer {
            timer: "t.timer",
            service: "t.service",
            schedule: "daily".to_owned(),
            dir: "/var/backups/etcd".into(),
        };
        timer.understood("m1", told)
    }

    #[test]
    fn the_newest_of_what_is_kept() {
        let seen = understood(
            "kept 20 etcd-m1-20261130T020304Z.db\nkept 30 etcd-m1-20261129T020304Z.db\ntimer active\nResult=success\nsaid an old failure\n",
        );
        assert_eq!((seen.kept, seen.trouble), (2, None));
        let newest = seen.newest.unwrap();
        assert_eq!(newest.taken.to_string(), "2026-11-30T02:03:04Z");
        assert_eq!(newest.bytes, 20);
    }

    #[test]
    fn a_snapshot_of_two_runs_ago_is_too_old() {
        let seen = understood(
            "kept 20 etcd-m1-20261130T020304Z.db\nnext 1000000\nnext 1021600\ntimer active\nResult=success\n",
        );
        assert_eq!(seen.every, Some(21600));
        let overdue = |now: &str| seen.is_overdue(now.parse().unwrap());
        assert!(!overdue("2026-11-30T14:00:00Z") && overdue("2026-11-30T14:04:00Z"));
        let untold = understood("kept 20 etcd-m1-20201130T020304Z.db\nnext \ntimer active\n");
        assert!(!untold.is_overdue("2026-11-30T14:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_run_that_failed_and_a_timer_that_does_not_run_are_told() {
        let trouble = |told: &str| understood(told).trouble.unwrap();
        insta::assert_snapshot!(trouble("timer active\nResult=exit-code\nsaid no room in /b\n"), @"the last snapshot by the timer was not taken: no room in /b");
        insta::assert_snapshot!(trouble("timer active\nResult=timeout\nsaid \n"), @"the last run of t.service ended by timeout");
        insta::assert_snapshot!(trouble("timer inactive\nResult=success\nsaid \n"), @"t.timer is inactive: run kubexm install");
        insta::assert_snapshot!(trouble(""), @"t.timer is not there: run kubexm install");
    }
}
