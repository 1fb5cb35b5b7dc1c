use camino::Utf8PathBuf;
use clap::Args;

use super::work_dir;

/// Make a page of a run: what came of it, what decided its time, what failed and why
///
/// One file that a browser opens from a disk, also where there is no network: nothing is loaded from elsewhere, and nothing runs
/// in it. Each run writes its page at its end; this makes it anew, and tells where it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm report                                            the last run
  kubexm report --list -f config.yaml                      all runs of this cluster
  kubexm report 20261121T105155Z -o night.html
  kubexm report /media/usb/report-20261121T105155Z.json    of another machine")]
pub struct ReportArgs {
    /// A run as --list calls it, or the file of its report [default: the last run]
    pub run: Option<String>,
    /// The config of the cluster, where there are several here; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Where the page goes; replaces only a page of kubexm [default: beside the report]
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Tell which runs there are
    #[arg(long, conflicts_with_all = ["run", "out"])]
    pub list: bool,
}
