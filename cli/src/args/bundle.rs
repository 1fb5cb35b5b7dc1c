use std::num::NonZeroU16;

use artifact::Percent;
use artifact::SEGMENT_MIN;
use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use cluster::{Arch, Version};

use super::work_dir;

/// Which pins give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UpdateArg {
    /// Packages of operating systems
    Systems,
    /// What the references of images mean
    Images,
    /// Both
    All,
}

/// Which version a cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeFrom {
    Version(Version),
    /// What its hosts have told.
    File(Utf8PathBuf),
}

/// `v1.33.4`, or a file. What looks like a version is one.
fn upgrade_from(text: &str) -> Result<UpgradeFrom, String> {
    let is_of_version = |c: char| c.is_ascii_digit() || c == '.';
    let number = text.strip_prefix('v').unwrap_or(text);
    match text.parse::<Version>() {
        Ok(version) => Ok(UpgradeFrom::Version(version)),
        Err(error) if number.chars().all(is_of_version) => {
            let hint = error
                .hint()
                .map_or_else(String::new, |hint| format!("; {hint}"));
            Err(format!("{error}{hint}"))
        }
        Err(_) => Ok(UpgradeFrom::File(text.into())),
    }
}

/// What one file may have: a medium by its name, or a number.
fn segment_size(text: &str) -> Result<u64, String> {
    const MEDIA: [(&str, u64); 4] = [
        ("fat32", u32::MAX as u64),
        ("dvd", 4_700_000_000),
        ("bd25", 25_000_000_000),
        ("bd50", 50_000_000_000),
    ];
    if let Some((_, size)) = MEDIA.iter().find(|(name, _)| *name == text) {
        return Ok(*size);
    }
    let (number, unit) = match text.strip_suffix(['M', 'm']) {
        Some(number) => (number, 20),
        None => (text.strip_suffix(['G', 'g']).unwrap_or_default(), 30),
    };
    let size = number
        .parse::<u32>()
        .map(|number| u64::from(number) << unit);
    match size {
        Ok(size) if size >= SEGMENT_MIN => Ok(size),
        Ok(_) => Err(format!("no segment is smaller than {}M", SEGMENT_MIN >> 20)),
        Err(_) => Err("a size is such as 4095M, 25G, fat32, dvd, bd25 or bd50".to_owned()),
    }
}

/// `5%`
fn percent(text: &str) -> Result<Percent, &'static str> {
    let number = text
        .strip_suffix('%')
        .and_then(|number| number.parse().ok());
    number.and_then(Percent::new).ok_or("it is from 1% to 100%")
}

/// Fetch everything a cluster needs and pack it into one file
///
/// Resolves every version for every architecture, fetches and checks binaries and images, proves that nothing is missing
/// and packs the tree. What was fetched before is not fetched again, so an interrupted run simply continues.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubexm bundle -f config.yaml
  kubexm bundle -f config.yaml -o /media/usb/site.tar.zst --arch amd64,arm64
  kubexm bundle -f config.yaml --mirror docker.io=https://mirror.example.org
  kubexm bundle -f config.yaml --upgrade-from v1.33.4 -o upgrade.tar.zst
  kubexm bundle -f config.yaml --upgrade-from hosts.json -o upgrade.tar.zst
  kubexm bundle -f config.yaml --since inventory.json -o /media/usb
  kubexm bundle -f config.yaml --segment-size dvd -o /media/spool
  kubexm bundle -f config.yaml --update systems
  kubexm bundle -f config.yaml --locked --sign ~/.ssh/id_ed25519")]
pub struct BundleArgs {
    /// The cluster's config; - reads stdin
    #[arg(short = 'f', long = "config", value_name = "FILE")]
    pub config: Utf8PathBuf,
    /// Where the bundle goes [default: <cluster>.tar.zst in the current directory; a delta is <cluster>.delta.tar.zst]
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Pack every release that leads from this version of Kubernetes to the config's, for `kubexm upgrade cluster`. FILE is
    /// what `kubexm get hosts --output json` has written in the site
    #[arg(long, value_name = "VERSION|FILE", value_parser = upgrade_from)]
    pub upgrade_from: Option<UpgradeFrom>,
    /// Carry only what the receiver does not have. FILE is what `kubexm get inventory` has written in the site, or the bundle
    /// that the site has unpacked last
    #[arg(long, value_name = "FILE")]
    pub since: Option<Utf8PathBuf>,
    /// Write several files, none larger than SIZE: a number with M or G (1024-based), or fat32, dvd, bd25, bd50. Each can be
    /// verified and unpacked by itself, in any order
    #[arg(long, value_name = "SIZE", value_parser = segment_size, conflicts_with = "since", allow_hyphen_values = true)]
    pub segment_size: Option<u64>,
    /// Also write parity of the bundle or its segments, out of which kubexm repair makes so much of it again
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub parity: Option<Percent>,
    /// Pack for these architectures instead of those of the config
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    pub arch: Vec<Arch>,
    /// The directory that holds .kubexm/
    #[arg(long, value_name = "DIR", default_value = ".", value_parser = work_dir)]
    pub work_dir: Utf8PathBuf,
    /// Fetch from URL what would come from HOST; '*=URL' fetches all else from URL/host/path. KUBEXM_MIRROR holds more of
    /// them
    #[arg(long, value_name = "HOST=URL")]
    pub mirror: Vec<String>,
    /// Trust packages that are signed with this public key as well, in armor
    #[arg(long, value_name = "FILE")]
    pub keyring: Vec<Utf8PathBuf>,
    /// How many downloads at once
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroU16>,
    /// Fail if anything differs from kubexm.lock
    #[arg(long)]
    pub locked: bool,
    /// Take what upstream has now in place of what kubexm.lock pins
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "locked")]
    pub update: Option<UpdateArg>,
    /// Sign with this SSH private key; KUBEXM_SIGN_PASSPHRASE opens it
    #[arg(long, value_name = "KEY")]
    pub sign: Option<Utf8PathBuf>,
    /// Show what would be fetched, and stop
    #[arg(long)]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_parity_make_sense() {
        assert_eq!(percent("5%"), Ok(Percent::new(5).unwrap()));
        assert_eq!(percent("100%"), Ok(Percent::new(100).unwrap()));
        for odd in ["", "%", "5", "0%", "101%", "-1%", "1.5%", "5 %"] {
            assert_eq!(percent(odd), Err("it is from 1% to 100%"), "{odd}");
        }
    }

    #[test]
    fn sizes_of_segments_make_sense() {
        assert_eq!(segment_size("4095M"), Ok(4095 << 20));
        assert_eq!(segment_size("2G"), Ok(2 << 30));
        assert_eq!(segment_size("fat32"), Ok(4_294_967_295));
        for odd in [
            "",
            "0",
            "-1",
            "1",
            "M",
            "-1M",
            "1.5G",
            "99999999999G",
            "4095MB",
        ] {
            let said = segment_size(odd).unwrap_err();
            assert!(said.starts_with("a size is such as"), "{odd}: {said}");
        }
        for small in ["0M", "1M", "15M", "0G"] {
            let said = segment_size(small).unwrap_err();
            assert_eq!(said, "no segment is smaller than 16M", "{small}");
        }
    }

    #[test]
    fn a_cluster_has_a_version_or_hosts_that_tell_it() {
        let version = Version::new(1, 33, 4);
        assert_eq!(upgrade_from("1.33.4"), Ok(UpgradeFrom::Version(version)));
        for file in ["hosts.json", "/tmp/hosts", "2026-11-30.json", "./1.33"] {
            assert_eq!(
                upgrade_from(file),
                Ok(UpgradeFrom::File(file.into())),
                "{file}"
            );
        }
        let error = upgrade_from("v1.33").unwrap_err();
        assert!(error.contains("v1.33.0"), "{error}");
    }
}
