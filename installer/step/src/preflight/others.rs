//! Others that are at work on a host, and what others have left there.

use super::observed::{Activity, Observed, Unit};
use super::{Finding, Leftover, Requirements};

/// A systemd unit that cannot be at work beside what kubexm sets up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    pub unit: &'static str,
    pub why: &'static str,
    pub fix: &'static str,
}

/// A socket that kubexm's own will be at, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    pub path: &'static str,
    pub of: &'static str,
    /// The unit that has it where somebody installed it as usual.
    pub unit: &'static str,
}

pub(super) fn judge_rivals(wanted: &Requirements, seen: &Observed) -> Vec<Finding> {
    let unit = |name: &str| {
        let mut units = seen.units.iter();
        units.find(|unit| unit.name == name && unit.activity != Activity::Idle)
    };
    let rivals = wanted.rivals.iter();
    let rivals = rivals.filter_map(|rival| {
        let Unit {
            name,
            activity,
            file,
            since: _,
        } = unit(rival.unit)?;
        let state = match activity {
            Activity::AtBoot => "begins at boot",
            Activity::AtWork | Activity::Idle => "is at work",
        };
        let why = rival.why;
        Some(Finding::new(
            format!("{name} {state} ({file}): {why}"),
            rival.fix,
        ))
    });
    let sockets = wanted.sockets.iter();
    let sockets = sockets
        .filter(|socket| seen.sockets.iter().any(|path| path == socket.path))
        .filter(|socket| unit(socket.unit).is_none());
    let sockets = sockets.map(|socket| {
        let (path, of) = (socket.path, socket.of);
        Finding::new(
            format!("somebody listens at {path}, where {of} will be"),
            format!("find out who, and stop it: ss -lxp src {path}"),
        )
    });
    rivals.chain(sockets).collect()
}

/// What another installation left behind, but for these.
pub(super) fn judge_leftovers(
    wanted: &Requirements,
    seen: &Observed,
    kept: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let traces = seen.traces.iter().filter(|path| !kept(path));
    let of = |path: &str| {
        let mut leftovers = wanted.leftovers.iter();
        leftovers
            .find(|leftover| leftover.is_at(path))
            .map(|leftover| leftover.of)
    };
    traces
        .filter_map(|path| {
            let of = of(path)?;
            Some(match path.strip_prefix(INTERFACES) {
                Some(name) => Finding::new(
                    format!("the interface {name} is there, left behind by {of}"),
                    format!("remove it with its own tool, or: ip link delete {name}"),
                ),
                None => Finding::new(
                    format!("{path} is there, left behind by {of}"),
                    format!("remove it with its own tool, or move {path} away"),
                ),
            })
        })
        .collect()
}

/// Where the kernel shows interfaces.
const INTERFACES: &str = "/sys/class/net/";

impl Leftover {
    /// Whether its pattern fits. A star stands for anything.
    fn is_at(&self, path: &str) -> bool {
        match self.path.split_once('*') {
            None => self.path == path,
            Some((begin, end)) => {
                let rest = path.strip_prefix(begin);
                rest.is_some_and(|rest| rest.ends_with(end))
            }
        }
    }
}
