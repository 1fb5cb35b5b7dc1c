//! A member of etcd that would become one that cannot go on with its store: told before its program is another.

use engine::{Cx, StepError};
use host::Command;

use super::{Finding, OtherKubernetes, Requirements};
use crate::service::run::NOTES;
use crate::shell::ask;

type Version = [u64; 3];

/// The etcd that the bundle brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextEtcd {
    /// `v3.6.5`
    pub version: String,
    /// Its minor takes in members of the one before from this version on, and had best this one: `v3.5.20`.
    pub enters: Option<(String, String)>,
}

/// An upgrade has judged its way by itself.
pub(super) async fn find(cx: &Cx, wanted: &Requirements) -> Result<Vec<Finding>, StepError> {
    let (Some(next), OtherKubernetes::Refused) = (&wanted.etcd, wanted.other_kubernetes) else {
        return Ok(Vec::new());
    };
    let script = format!("[ ! -e {NOTES}/etcd.service ] || /usr/local/bin/etcd --version");
    let answer = ask(cx, Command::script(script)).await?.text();
    let said = answer
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "));
    Ok(said
        .and_then(|at| judge(at.trim(), next))
        .into_iter()
        .collect())
}

fn judge(at: &str, next: &NextEtcd) -> Option<Finding> {
    let NextEtcd {
        version: next,
        enters,
    } = next;
    let (from, to) = (version(at)?, version(next)?);
    let (minor_from, minor_to) = ([from[0], from[1]], [to[0], to[1]]);
    let back = format!(
        "set spec.etcd.version to v{}, and install from a bundle of it",
        at.trim_start_matches('v')
    );
    let (why, hint) = if minor_to < minor_from {
        ("a store does not go back".to_owned(), back)
    } else if minor_to > [from[0], from[1] + 1] {
        (
            "no minor may be left out".to_owned(),
            format!("{back}; kubexm upgrade cluster leads to newer ones"),
        )
    } else {
        let (least, advised) = enters.as_ref().filter(|_| minor_from < minor_to)?;
        if from >= version(least)? {
            return None;
        }
        (
            format!("members older than {least} lose the promotion of learners"),
            format!(
                "bring it to {advised} or later first: spec.etcd.version, a bundle of it, and kubexm install"
            ),
        )
    };
    let [at, next] = [at, next.as_str()].map(|version| version.trim_start_matches('v'));
    Some(Finding::new(
        format!("its etcd is v{at}, and the bundle brings v{next}: {why}"),
        hint,
    ))
}

/// Without what may stand behind its three numbers.
fn version(text: &str) -> Option<Version> {
    let numbers = text.trim_start_matches('v').splitn(3, '.').map(|number| {
        let digits = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        number[..digits].parse().ok()
    });
    numbers.collect::<Option<Vec<u64>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    fn bundled(version: &str) -> NextEtcd {
        let enters = ("v3.5.20".to_owned(), "v3.5.32".to_owned());
        NextEtcd {
            version: version.to_owned(),
            enters: version.starts_with("v3.6").then_some(enters),
        }
    }

    #[test]
    fn a_store_is_given_to_no_etcd_that_cannot_go_on_with_it() {
        let told = |at: &str, next: &str| {
            judge(at, &bundled(next)).map(|finding| format!("{}\n{}", finding.what, finding.fix))
        };
        for (at, next) in [
            ("3.6.4", "v3.6.11"),
            ("3.6.11", "v3.6.4"),
            ("3.5.26", "v3.6.4"),
            ("3.6.0-rc.1", "v3.6.4"),
            ("what?", "v3.6.4"),
        ] {
            assert_eq!(told(at, next), None, "{at} {next}");
        }
        let refused = [
            ("3.6.4", "v3.5.30"),
            ("3.4.30", "v3.6.4"),
            ("3.5.9", "v3.6.4"),
        ];
        let refused = refused.map(|(at, next)| told(at, next).unwrap());
        insta::assert_snapshot!(refused.join("\n"), @r"
        its etcd is v3.6.4, and the bundle brings v3.5.30: a store does not go back
        set spec.etcd.version to v3.6.4, and install from a bundle of it
        its etcd is v3.4.30, and the bundle brings v3.6.4: no minor may be left out
        set spec.etcd.version to v3.4.30, and install from a bundle of it; kubexm upgrade cluster leads to newer ones
        its etcd is v3.5.9, and the bundle brings v3.6.4: members older than v3.5.20 lose the promotion of learners
        bring it to v3.5.32 or later first: spec.etcd.version, a bundle of it, and kubexm install
        ");
    }

    #[tokio::test]
    async fn an_upgrade_judges_by_itself() {
        let host = Arc::new(FakeHost::new("node1").on(
            "etcd --version",
            0,
            "etcd Version: 3.6.4\nGit SHA: 1\n",
        ));
        let cx = Cx::new(host, Progress::unseen());
        let mut wanted = Requirements {
            etcd: Some(bundled("v3.5.30")),
            ..Requirements::default()
        };
        assert_eq!(find(&cx, &wanted).await.unwrap().len(), 1);
        wanted.other_kubernetes = OtherKubernetes::Expected;
        assert_eq!(find(&cx, &wanted).await.unwrap().len(), 0);
    }
}
