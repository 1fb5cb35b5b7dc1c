use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use super::{is_restored, prepared};
use crate::etcd::aside::nobody_works_on;
use crate::shell::{ask, must};

/// Sets a stopped member's data aside and puts the new one in its place: two renames, and a note when both are done. A run
/// that was killed in between is mended by the next. Nothing is deleted.
pub struct SwapData {
    pub id: String,
    pub data_dir: Utf8PathBuf,
    /// When the restore began, for people who look for the data of before.
    pub aside: String,
}

/// A host may have many files open.
const PATIENCE: Duration = Duration::from_mins(5);

impl SwapData {
    fn script(&self) -> String {
        let dir = host::quote(self.data_dir.as_str());
        let new = host::quote(prepared(&self.data_dir, &self.id).as_str());
        let aside = host::quote(&self.aside);
        let id = host::quote(&self.id);
        // Where the new data is in place already, only the note is missing. A host that was started anew in between may have
        // a member at work again, and one that works goes on with files that were renamed: so nobody may have its store open.
        format!(
            "set -eu; umask 077; cd {dir}
if [ -d {new}/member ]; then
  {nobody}
  if [ -e member ]; then mkdir -p {aside}; mv -T member {aside}/member; fi
  mv -T {new}/member member
fi
[ -d member/snap ] && [ -d member/wal ] || {{ echo 'the new data is not whole' >&2; exit 1; }}
! command -v restorecon > /dev/null || restorecon -R member
sync
mkdir -p \"$(dirname {note})\"
echo {id} > {note}.new; sync {note}.new; mv -f {note}.new {note}
rmdir {new} 2>/dev/null || true",
            note = super::RESTORED,
            nobody = nobody_works_on(&self.data_dir),
        )
    }
}

#[async_trait]
impl Step for SwapData {
    fn id(&self) -> String {
        "swap data".to_owned()
    }

    fn describe(&self) -> String {
        format!(
            "set the data of before aside, in {}/{}, and put the new in its place",
            self.data_dir, self.aside
        )
    }

    fn inputs(&self) -> String {
        self.id.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let restored = ask(cx, Command::script(is_restored(&self.id))).await?;
        Ok(if restored.ok() {
            State::Satisfied
        } else {
            State::needed("has the data of before")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let swap = Command::script(self.script()).timeout(PATIENCE);
        let swapped = must(cx, "put the new data in place", swap).await;
        swapped.map(drop).map_err(|error| {
            if error.to_string().contains("is at work") {
                error.with_hint("it was started again behind its halt: run the same command again, which stops it first")
            } else {
                error
            }
        })
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Runs the script in a directory, with its note there as well.
    fn run(dir: &std::path::Path, until: &str) -> bool {
        let data = camino::Utf8Path::from_path(dir).unwrap().join("etcd");
        let step = SwapData {
            id: "0123".into(),
            data_dir: data.clone(),
            aside: "kubexm-aside".into(),
        };
        let script = step.script();
        let script = script.replace(
            crate::etcd::restore::RESTORED,
            data.join("../note").as_str(),
        );
        let script = script.replace(until, &format!("exit 7\n{until}"));
        let status = std::process::Command::new("sh")
            .args(["-c", &script])
            .status();
        status.unwrap().success()
    }

    #[test]
    fn a_killed_swap_is_mended_and_nothing_is_deleted() {
        for until in [
            "  mv -T /",
            "[ -d member/snap ]",
            "mkdir -p \"$(dirname",
            "rmdir",
            "never",
        ] {
            let temp = tempfile::tempdir().unwrap();
            let dir = temp.path();
            for path in [
                "member/snap",
                "member/wal",
                "kubexm-restore-0123/member/snap",
                "kubexm-restore-0123/member/wal",
            ] {
                fs::create_dir_all(dir.join("etcd").join(path)).unwrap();
            }
            fs::write(dir.join("etcd/member/old"), "").unwrap();
            fs::write(dir.join("etcd/kubexm-restore-0123/member/new"), "").unwrap();
            let _ = run(dir, until);
            assert!(run(dir, "never"), "{until}");
            assert!(dir.join("etcd/member/new").exists(), "{until}");
            assert!(dir.join("etcd/kubexm-aside/member/old").exists(), "{until}");
            assert_eq!(fs::read_to_string(dir.join("note")).unwrap(), "0123\n");
            assert!(!dir.join("etcd/kubexm-restore-0123").exists());
        }
    }

    #[test]
    fn nothing_is_renamed_under_a_member_that_is_at_work() {
        let temp = tempfile::tempdir().unwrap();
        let etcd = temp.path().join("etcd");
        for path in [
            "member/snap",
            "member/wal",
            "kubexm-restore-0123/member/snap",
        ] {
            fs::create_dir_all(etcd.join(path)).unwrap();
        }
        fs::create_dir_all(etcd.join("kubexm-restore-0123/member/wal")).unwrap();
        fs::write(etcd.join("member/snap/db"), "old").unwrap();
        let held = fs::File::open(etcd.join("member/snap/db")).unwrap();
        assert!(!run(temp.path(), "never"));
        assert!(etcd.join("member/snap/db").exists());
        assert!(!etcd.join("kubexm-aside").exists());
        drop(held);
        assert!(run(temp.path(), "never"));
        assert!(etcd.join("kubexm-aside/member/snap/db").exists());
    }

    #[test]
    fn without_new_data_nothing_is_noted() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("etcd")).unwrap();
        assert!(!run(temp.path(), "never"));
        assert!(!temp.path().join("note").exists());
    }
}
