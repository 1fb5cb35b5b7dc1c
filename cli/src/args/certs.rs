use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::{AccessArgs, ActArgs, work_dir};

/// Look after certificates: when they end, how they are made anew, and how authorities are replaced
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm certs check -f config.yaml
  kubexm certs renew -f config.yaml
  kubexm certs rotate-ca -f config.yaml --dry-run")]
pub struct CertsArgs {
    #[command(subcommand)]
    pub command: CertsCommand,
}

/// The verbs of `kubexm certs`.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    Check(CertsCheckArgs),
    Renew(CertsRenewArgs),
    RotateCa(CertsRotateCaArgs),
}

/// Tell every certificate of a cluster, and when it ends
///
/// Asks each host for its certificates and the kubeconfigs that carry one: who signed it, where it lies, when it ends, who
/// reads it and who has to be started anew for another one. Keys stay where they are. Exit code 1 where one ends within
/// the limit, or a host does not tell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm certs check -f config.yaml
  kubexm certs check -f config.yaml --warn 90d
  kubexm certs check -f config.yaml --output json | jq -r '.[] | select(.daysLeft < 60) | [.host, .path] | @tsv'")]
pub struct CertsCheckArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// What ends within this time is too soon: 30d, 12w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = days)]
    pub warn: Days,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Make all certificates anew, and start anew who reads them, one after the other
///
/// Authorities stay. New files are brought to every host first; then the control plane starts anew, one master at a time,
/// and the kubelets, a few at a time, each well before the next is touched. Certificates that have ended already are
/// mended as well: until the files are there, nothing of the cluster has to answer.
///
/// A run that was cut short is taken up by the same command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm certs renew -f config.yaml
  kubexm certs renew -f config.yaml --dry-run
  kubexm certs check -f config.yaml")]
pub struct CertsRenewArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    #[command(flatten)]
    pub act: ActArgs,
}

/// Replace certificate authorities, and the key of service accounts, while the cluster is at work
///
/// In three moves: the new authority is trusted everywhere beside the old one; everything is signed by the new one; the old
/// one is trusted no more. Each move goes host by host, and the cluster is checked before the next one begins. Workloads
/// whose pods may ask the apiservers are started anew, each by its own strategy, because most programs read the authority
/// once.
///
/// A run that was cut short, at whatever move, is taken up by the same command. Until then the old authority stays on this
/// machine. kubexm install, check and certs renew work between moves; kubexm upgrade waits for the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm certs rotate-ca -f config.yaml --dry-run
  kubexm certs rotate-ca -f config.yaml
  kubexm certs rotate-ca -f config.yaml --authority etcd --authority service-accounts
  kubexm kubeconfig -f config.yaml -o admin.conf")]
pub struct CertsRotateCaArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Which authority; may be given several times. All of this cluster where none is named
    #[arg(long, value_name = "NAME")]
    pub authority: Vec<AuthorityArg>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub act: ActArgs,
}

/// What is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthorityArg {
    /// Of apiservers, kubelets and all their clients
    Kubernetes,
    /// Of the apiservers to the servers of further APIs
    FrontProxy,
    /// The key that signs the tokens of service accounts
    ServiceAccounts,
    /// Of etcd's members and their clients
    Etcd,
    /// Of the site's registry
    Registry,
}

/// A time in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub i64);

fn days(text: &str) -> Result<Days, String> {
    let wrong = || format!("'{text}' is no time: write days or weeks, as 30d or 12w");
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match unit {
        "d" => Ok(Days(number.into())),
        "w" => Ok(Days(i64::from(number) * 7)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_or_weeks() {
        assert_eq!(days("30d"), Ok(Days(30)));
        assert_eq!(days("2w"), Ok(Days(14)));
        for wrong in ["", "d", "30", "-1d", "1.5d", "30 d", "1y"] {
            assert!(days(wrong).unwrap_err().contains("30d or 12w"), "{wrong}");
        }
    }
}
