use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use pipeline::Unavailable;

use super::{AccessArgs, LeaseArgs, work_dir};

/// Bring what was set up to a later version
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --dry-run
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml")]
pub struct UpgradeArgs {
    #[command(subcommand)]
    pub command: UpgradeCommand,
}

/// What can be upgraded.
#[derive(Debug, Subcommand)]
pub enum UpgradeCommand {
    Cluster(UpgradeClusterArgs),
}

/// Bring a living cluster to the config's version of Kubernetes, hop by hop
///
/// Asks the cluster what it is, and tells everything that is in the way before anything is touched. Each hop keeps a snapshot
/// of etcd on this machine; then masters come one at a time, and after them the workers: drained, changed, heard of again,
/// given back. It stops at the first failure with the cluster at work; the same command goes on from there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm bundle -f config.yaml --upgrade-from v1.34.2 -o upgrade.tar.zst    make the bundle, on a connected machine
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --dry-run          show hops and steps, and do nothing
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --yes --drain-timeout 15m --max-unavailable 2
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --held-pods wait --drain-timeout 30m    with longhorn
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --only control-plane
  kubexm upgrade cluster upgrade.tar.zst -f config.yaml --only node4,node5
  kubexm upgrade cluster before.tar.zst -f config.yaml --rollback node5")]
pub struct UpgradeClusterArgs {
    /// The bundle with every release on the way: one file, or segments, also a directory with segments in it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<Utf8PathBuf>,
    /// The site's config, with the version that the cluster is to have; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Do not ask for the cluster's name
    #[arg(long)]
    pub yes: bool,
    /// How long the pods of a node may take to leave it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub drain_timeout: Duration,
    /// Where a disruption budget allows no pod of a node to leave it: refuse to begin, or drain the node in its turn and wait as
    /// long as --drain-timeout says. Some budgets let go when their node is cordoned, such as longhorn's
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = HeldPods::Refuse)]
    pub held_pods: HeldPods,
    /// Upgrade a part: `control-plane`, or these workers behind it. The same command without it ends the upgrade
    #[arg(long, value_name = "control-plane|NODE,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Put one worker back to the newest release of the bundle that is older than what it has. FILE is the bundle of before
    #[arg(long, value_name = "NODE", conflicts_with = "only")]
    pub rollback: Option<String>,
    /// How many workers may be away at once, behind the first: a number, or a part of them
    #[arg(long, value_name = "N|P%", default_value = "1", value_parser = unavailable)]
    pub max_unavailable: Unavailable,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Insist on a signature by one of these keys (ssh-keygen's allowed_signers format)
    #[arg(long, value_name = "FILE")]
    pub signers: Option<Utf8PathBuf>,
    /// Show hops and steps, and whether each step is needed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub access: AccessArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Let this node of the plan fail, to see what happens then
    #[arg(long, value_name = "NODE", hide = true)]
    pub inject_error: Option<String>,
}

/// What becomes of a node whose pods a budget holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeldPods {
    Refuse,
    Wait,
}

impl From<HeldPods> for pipeline::HeldPods {
    fn from(held: HeldPods) -> Self {
        match held {
            HeldPods::Refuse => Self::Refuse,
            HeldPods::Wait => Self::Wait,
        }
    }
}

/// `90s`, `10m`, `1h`
fn time(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "it is a whole number and s, m or h, such as 10m";
    let unit = text.chars().last().ok_or(FORM)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(FORM),
    };
    let number = text.strip_suffix(unit).ok_or(FORM)?;
    let number: u32 = number.parse().map_err(|_| FORM)?;
    if number == 0 {
        return Err("pods cannot leave in no time");
    }
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// `2`, `10%`
fn unavailable(text: &str) -> Result<Unavailable, &'static str> {
    const FORM: &str = "it is a number of nodes, or a part of them such as 10%";
    let unavailable = match text.strip_suffix('%') {
        Some(percent) => Unavailable::Percent(percent.parse().map_err(|_| FORM)?),
        None => Unavailable::Nodes(text.parse().map_err(|_| FORM)?),
    };
    match unavailable {
        Unavailable::Nodes(0) | Unavailable::Percent(0) => Err("one node at least has to be away"),
        Unavailable::Percent(101..) => Err(FORM),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("15m"), Ok(Duration::from_mins(15)));
        assert_eq!(time("1h"), Ok(Duration::from_hours(1)));
        for wrong in ["", "5", "m", "-1m", "1d", "0s", "1.5h", "5é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nodes_are_counted_or_a_part_of_all() {
        assert_eq!(unavailable("2"), Ok(Unavailable::Nodes(2)));
        assert_eq!(unavailable("25%"), Ok(Unavailable::Percent(25)));
        for wrong in ["", "0", "0%", "101%", "%", "-1", "two"] {
            assert!(unavailable(wrong).is_err(), "{wrong}");
        }
    }
}
