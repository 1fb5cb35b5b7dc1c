//! What a host was like before kubexm changed it: noted on the host once, before the change, and given back by the
//! counterparts. What has no note was there before, and stays.

use std::fmt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, StepError};
use host::{Command, Output};

use crate::shell::must;

/// Where everything that kubexm notes on a host lies.
pub(crate) const HOME: &str = "/var/lib/kubexm";
/// To which cluster the data belongs that stayed on a host it has left.
pub(crate) const KEPT: &str = "/var/lib/kubexm/cluster";
const BASE: &str = "/var/lib/kubexm/before";
const SCRIPT: &str = concat!(include_str!("replace.sh"), include_str!("before.sh"));

/// A large data directory on a slow disk.
const PATIENCE: Duration = Duration::from_mins(30);

/// Something of a host that kubexm changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A file: it was not there, or held something else.
    File(Utf8PathBuf),
    /// A directory for files of kubexm. It goes once it is empty.
    Directory(Utf8PathBuf),
    /// A directory that programs fill by themselves with what is worth nothing without them. It goes as a whole.
    Tree(Utf8PathBuf),
    /// A directory for data that nobody can make again. Whoever names it means to lose it.
    Data(Utf8PathBuf),
    /// A systemd unit that runs and begins at boot.
    Unit(String),
    /// A system user with its group.
    User(String),
    /// A kernel parameter.
    Sysctl(String),
    /// A kernel module.
    Module(String),
    /// Swap, now and at boot.
    Swap,
    /// The kernel's name for the host.
    Hostname,
}

impl Resource {
    /// As the script takes it: its kind and its name.
    fn words(&self) -> [&str; 2] {
        match self {
            Self::File(path) => ["file", path.as_str()],
            Self::Directory(path) => ["directory", path.as_str()],
            Self::Tree(path) => ["tree", path.as_str()],
            Self::Data(path) => ["data", path.as_str()],
            Self::Unit(name) => ["unit", name],
            Self::User(name) => ["user", name],
            Self::Sysctl(key) => ["sysctl", key],
            Self::Module(name) => ["module", name],
            Self::Swap => ["swap", "-"],
            Self::Hostname => ["hostname", "-"],
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swap => f.write_str("swap"),
            Self::Hostname => f.write_str("hostname"),
            other => f.write_str(&other.words().join(" ")),
        }
    }
}

/// Notes how this is now, unless it was noted before. Must be done before anything of it is changed.
pub(crate) async fn note(cx: &Cx, what: &[Resource]) -> Result<(), StepError> {
    let trying = "note what was there before";
    must(cx, trying, command(BASE.into(), "note", what))
        .await
        .map(drop)
}

/// Whether anything of this is as kubexm made it.
pub(crate) async fn pending(cx: &Cx, what: &[Resource]) -> Result<State, StepError> {
    let trying = "read what was there before";
    let output = must(cx, trying, command(BASE.into(), "pending", what)).await?;
    Ok(state(&output))
}

/// Brings this back to how it was.
pub(crate) async fn restore(cx: &Cx, trying: &str, what: &[Resource]) -> Result<(), StepError> {
    must(cx, trying, command(BASE.into(), "restore", what))
        .await
        .map(drop)
}

/// What is noted of a file.
pub(crate) enum Noted {
    Nothing,
    Absent,
    Was(Vec<u8>),
}

/// What a file held before kubexm changed it.
pub(crate) async fn noted(cx: &Cx, path: &Utf8Path) -> Result<Noted, StepError> {
    let note = |name: &str| Utf8PathBuf::from(format!("{BASE}/paths{path}/{name}"));
    if let Some(was) = cx.host.read(&note("@was")).await? {
        return Ok(Noted::Was(was));
    }
    let absent = cx.host.read(&note("@absent")).await?.is_some();
    Ok(if absent {
        Noted::Absent
    } else {
        Noted::Nothing
    })
}

/// Forgets what a file held before: others have written to it since.
pub(crate) async fn forget(cx: &Cx, path: &Utf8Path) -> Result<(), StepError> {
    let file = [Resource::File(path.to_owned())];
    let trying = format!("forget what {path} was");
    must(cx, &trying, command(BASE.into(), "forget", &file))
        .await
        .map(drop)
}

/// Brings back everything that is noted still, and forgets it. With [`Data::Keep`] data and its notes stay.
pub(crate) async fn leave(cx: &Cx, data: Data) -> Result<(), StepError> {
    let data = match data {
        Data::Keep => "keep",
        Data::Purge => "purge",
    };
    let command = script(&[BASE, "leave", data]);
    must(cx, "leave the host as it was", command)
        .await
        .map(drop)
}

/// Where it is noted what a directory of data held before.
pub(crate) fn data_note(directory: &Utf8Path) -> Utf8PathBuf {
    format!("{BASE}/paths{directory}/@data").into()
}

/// The directories whose data stayed when this cluster left the host.
pub(crate) async fn kept_data(cx: &Cx, cluster: &str) -> Result<Vec<Utf8PathBuf>, StepError> {
    let Some(whose) = cx.host.read(KEPT.into()).await? else {
        return Ok(Vec::new());
    };
    if String::from_utf8_lossy(&whose).trim() != cluster {
        return Ok(Vec::new());
    }
    let notes = format!("{BASE}/paths");
    let find = Command::new(["find", &notes, "-name", "@data", "-printf", "/%P\n"]);
    let found = must(cx, "look for data that was kept", find).await?.text();
    let directories = found.lines().filter_map(|note| note.strip_suffix("/@data"));
    Ok(directories.map(Into::into).collect())
}

/// The last of leaving: the mark goes, or stays beside data that stayed.
pub(crate) async fn unmark(cx: &Cx, marker: &str) -> Result<(), StepError> {
    let script = format!(
        "if [ -e {marker} ]; then if [ -d {BASE} ]; then mv -fT {marker} {KEPT}; else rm -f {marker}; fi; fi; \
         rmdir \"$(dirname {marker})\" 2>/dev/null || true"
    );
    must(cx, &format!("remove {marker}"), Command::script(script))
        .await
        .map(drop)
}

fn state(pending: &Output) -> State {
    match pending.text().lines().collect::<Vec<_>>().as_slice() {
        [] => State::Satisfied,
        [one] => State::needed(*one),
        [first, rest @ ..] => State::needed(format!("{first}, and {} more", rest.len())),
    }
}

fn command(base: &Utf8Path, verb: &str, what: &[Resource]) -> Command {
    let mut words = vec![base.as_str(), verb];
    words.extend(what.iter().flat_map(Resource::words));
    script(&words)
}

fn script(words: &[&str]) -> Command {
    let sh = ["sh", "-s", "--"];
    Command::new(sh.iter().chain(words))
        .stdin(SCRIPT)
        .timeout(PATIENCE)
}

#[cfg(test)]
mod tests;
