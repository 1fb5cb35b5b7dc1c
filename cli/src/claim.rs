//! Who this run is to others who want to work on the same cluster.

use std::{env, fs, process};

use artifact::Sha256;
use jiff::Timestamp;
use pipeline::{Claim, Leasing, Site, StaleLease};

use crate::error::Failure;

/// Told to people, and nothing goes by them.
const USER: [&str; 2] = ["USER", "LOGNAME"];

/// What a run of this verb shows to the hosts of a cluster. The site's tree must be there.
pub fn leasing(verb: &str, site: &Site, stale: StaleLease) -> Result<Leasing, Failure> {
    let root = site.tree.root();
    let root = root.canonicalize_utf8().map_err(|source| Failure::Read {
        path: root.to_owned(),
        source,
    })?;
    let machine = ["/etc/machine-id", "/proc/sys/kernel/hostname"].map(line);
    let since = Timestamp::now();
    let holder = format!("{}\0{}\0{root}", machine[0], machine[1]);
    let run = format!("{holder}\0{}\0{}", process::id(), since.as_nanosecond());
    let directory = root.ancestors().nth(2).unwrap_or(&root).to_string();
    let claim = Claim {
        run: Sha256::of(run.as_bytes()).to_string(),
        holder: Sha256::of(holder.as_bytes()).to_string(),
        cluster: site.cluster.name().to_owned(),
        verb: verb.to_owned(),
        owner: format!("{}@{}", user(), machine[1]),
        directory,
        since,
    };
    Ok(Leasing::of(&site.cluster, claim, stale))
}

fn user() -> String {
    let named = USER.iter().find_map(|name| env::var(name).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "somebody".to_owned())
}

/// The first line of a file of this machine.
fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
