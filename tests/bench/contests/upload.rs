use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use artifact::Sha256;
use camino::Utf8PathBuf;

use super::{kubexm, shell};
use crate::contest::Contest;
use crate::data::{Data, noise};
use crate::emptied;
use crate::services::Hosts;

/// A large file goes to four hosts at once; kubexm compares its digest there, syncs it, and renames it into place.
pub struct Upload {
    hosts: Hosts,
    file: Utf8PathBuf,
    size: u64,
    digest: Sha256,
    to: Utf8PathBuf,
}

const HOSTS: usize = 4;

/// One scp for each host at the same time; then all of them are waited for. The last arguments are `PORT=PATH`.
const SCP: &str = r#"
file=$1; shift
options="-q -F none -i $1 -o UserKnownHostsFile=$2 -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"; shift 2
expected=$1; shift
send() { scp $options -P "$1" "$file" "root@127.0.0.1:$2"; }
"#;
const PARALLEL: &str = r#"
jobs=
for to; do one "${to%%=*}" "${to#*=}" & jobs="$jobs $!"; done
for job in $jobs; do wait "$job"; done
"#;
const PLAIN: &str = r#"one() { send "$1" "$2"; }"#;
const SURE: &str = r#"
one() {
	send "$1" "$2"
	ssh $options -p "$1" root@127.0.0.1 "sync '$2' && sha256sum '$2'" | grep -q "^$expected "
}
"#;

impl Upload {
    pub fn new(data: &Data, size: u64) -> Result<Self> {
        let file = data.work.join("upload");
        let bytes = noise(99, usize::try_from(size)?);
        fs::write(&file, &bytes)?;
        Ok(Self {
            hosts: Hosts::start(&data.work.join("ssh"), HOSTS)?,
            file,
            size,
            digest: Sha256::of(&bytes),
            to: data.work.join("uploaded"),
        })
    }

    /// Where the file goes on each host: they are one machine.
    fn targets(&self) -> Vec<Utf8PathBuf> {
        (0..HOSTS)
            .map(|host| self.to.join(format!("host{host}")))
            .collect()
    }
}

impl Contest for Upload {
    fn title(&self) -> String {
        format!("upload {} MB to {HOSTS} hosts", self.size / crate::MB)
    }

    fn contestants(&self) -> Vec<String> {
        [
            "kubexm",
            "parallel scp, nothing verified",
            "parallel scp, then sync and sha256sum",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn begin(&mut self, who: usize) -> Result<Vec<String>> {
        emptied(&self.to)?;
        let Hosts {
            login,
            known,
            sshds,
        } = &self.hosts;
        let to: Vec<String> = sshds
            .iter()
            .zip(self.targets())
            .map(|(sshd, path)| format!("{}={path}", sshd.port))
            .collect();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let (file, login, known) = (self.file.as_str(), login.as_str(), known.as_str());
        if who == 0 {
            return kubexm(&[&["upload", file, login, known], to.as_slice()].concat());
        }
        let script = [SCP, if who == 1 { PLAIN } else { SURE }, PARALLEL].concat();
        let digest = self.digest.to_string();
        let args = [&[file, login, known, digest.as_str()], to.as_slice()].concat();
        Ok(shell(&script, &args))
    }

    fn end(&mut self, _: usize) -> Result<Option<u64>> {
        for path in self.targets() {
            let same = Command::new("cmp").arg(&self.file).arg(&path).status()?;
            ensure!(same.success(), "{path} differs from {}", self.file);
        }
        Ok(None)
    }
}
