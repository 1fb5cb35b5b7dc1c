use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{AccessArgs, LeaseArgs, work_dir};

/// Take care of the cluster's store: look at it, copy it, bring it back
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd status -f config.yaml
  kubexm etcd backup -f config.yaml -o etcd.db
  kubexm etcd drill etcd.db -f config.yaml
  kubexm etcd restore etcd.db -f config.yaml
  kubexm etcd defrag -f config.yaml
  kubexm etcd alarms -f config.yaml")]
pub struct EtcdArgs {
    #[command(subcommand)]
    pub command: EtcdCommand,
}

/// The verbs of `kubexm etcd`.
#[derive(Debug, Subcommand)]
pub enum EtcdCommand {
    Status(EtcdStatusArgs),
    Backup(EtcdBackupArgs),
    Restore(EtcdRestoreArgs),
    Drill(EtcdDrillArgs),
    Defrag(EtcdDefragArgs),
    Alarms(EtcdAlarmsArgs),
}

/// The site whose store it is.
#[derive(Debug, Args)]
pub struct EtcdSiteArgs {
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Tell how each member of etcd is, and change nothing
///
/// Asks every member on its own host: who leads, versions, how large the store is and how much of it is in use, alarms,
/// and how long a linearizable read takes. A member that is down, that holds no data or whose log is damaged is named.
/// Exit code 1 where not all members are healthy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd status -f config.yaml
  kubexm etcd status -f config.yaml --output json | jq -r '.members[] | [.name, .state, .dbBytes] | @tsv'")]
pub struct EtcdStatusArgs {
    #[command(flatten)]
    pub site: EtcdSiteArgs,
}

/// Take a snapshot of etcd, check it, and fetch it onto this machine
///
/// One healthy member takes it, and checks it with its own etcd before it counts. It arrives readable for you alone, since
/// it holds every Secret of the cluster, and gets its name when it is whole. A small JSON file beside it has versions,
/// members, revision and digest. The cluster goes on working.
///
/// A restore on other hosts needs more: config.yaml, the bundle, and the cluster's authorities and keys. With --recipient, or
/// etcd.backup.recipients of the config, those are written beside the snapshot as FILE.keys.age, encrypted to these public keys; and
/// with them the file that Secrets are encrypted with, where there is one. Without a recipient no keys leave .kubexm/<cluster>/certs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd backup -f config.yaml                     into .kubexm/<cluster>/backups/
  kubexm etcd backup -f config.yaml -o /mnt/etcd.db
  kubexm etcd backup -f config.yaml --recipient age1... --recipient \"$(cat ~/.ssh/id_ed25519.pub)\"
  kubexm etcd drill /mnt/etcd.db -f config.yaml         prove that it can be restored")]
pub struct EtcdBackupArgs {
    #[command(flatten)]
    pub site: EtcdSiteArgs,
    /// Where it goes; nothing that is there is replaced [default: .kubexm/<cluster>/backups/etcd-<time>.db]
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Write the cluster's keys as well, encrypted to this recipient of age or public key of SSH; may be given again [default:
    /// etcd.backup.recipients]
    #[arg(long, value_name = "age1...|ssh-ed25519 ...")]
    pub recipient: Vec<String>,
}

/// Bring the store of the cluster back from a snapshot
///
/// Everything that is in the cluster now and not in the snapshot is lost. The file is judged, and every member's new data
/// is made ready, before anything stops. Then apiservers and kubelets stop, all members get the new data, and everything
/// starts again in order. The data of before is set aside on each member and not deleted. Pods keep running meanwhile; the
/// API does not answer for some minutes.
///
/// A snapshot of another cluster is refused, by the note beside it. So is a config that lacks members or masters which are
/// up: they would go on with the store of before.
///
/// A run that was cut short is taken up by the same command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd restore etcd.db -f config.yaml
  kubexm etcd restore etcd.db -f config.yaml --yes              do not ask, in scripts
  kubexm etcd restore member/snap/db -f config.yaml --copied-store --without-note")]
pub struct EtcdRestoreArgs {
    /// The snapshot, as kubexm etcd backup or etcdctl snapshot save has made it
    #[arg(value_name = "FILE")]
    pub file: Utf8PathBuf,
    #[command(flatten)]
    pub site: EtcdSiteArgs,
    /// Do not ask for the cluster's name
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Take a bare copy of a member's store, which has no digest and may lack what is only in the log
    #[arg(long)]
    pub copied_store: bool,
    /// How many steps at once, over all hosts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// Let this node of the plan fail, to see what happens then
    #[arg(long, value_name = "NODE", hide = true)]
    pub inject_error: Option<String>,
}

/// What is taken of a snapshot on the operator's word.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// Take a snapshot without the note that says of which cluster it is, such as one of etcdctl
    #[arg(long)]
    pub without_note: bool,
    /// Restore also where the snapshot goes with other authorities, or other keys of encryption: its tokens, certificates and
    /// encrypted Secrets are worth nothing then
    #[arg(long)]
    pub other_authorities: bool,
}

/// Prove that a snapshot can be restored, without the site
///
/// The bundle's own etcd is started with it on loopback, on this machine; its keys are counted and compared with what the
/// snapshot and its note tell. No host is asked. Nothing of it stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd drill etcd.db -f config.yaml
  kubexm etcd drill etcd.db -f config.yaml --output json | jq .keys")]
pub struct EtcdDrillArgs {
    /// The snapshot
    #[arg(value_name = "FILE")]
    pub file: Utf8PathBuf,
    /// The site's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Take a bare copy of a member's store as well
    #[arg(long)]
    pub copied_store: bool,
}

/// Have members give unused room back to their disks
///
/// One member at a time, the leader last, and only where it pays: less than half of the store is in use. A member answers
/// nobody meanwhile, so all others must be healthy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd defrag -f config.yaml")]
pub struct EtcdDefragArgs {
    #[command(flatten)]
    pub site: EtcdSiteArgs,
    #[command(flatten)]
    pub lease: LeaseArgs,
}

/// Show etcd's alarms, with cause and cure
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm etcd alarms -f config.yaml
  kubexm etcd alarms -f config.yaml --disarm      when the cause is gone")]
pub struct EtcdAlarmsArgs {
    #[command(flatten)]
    pub site: EtcdSiteArgs,
    /// Disarm them all; one whose cause is still there is refused
    #[arg(long)]
    pub disarm: bool,
    #[command(flatten)]
    pub lease: LeaseArgs,
}
