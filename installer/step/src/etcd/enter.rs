use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, Slot, State, Step, StepError};
use host::{Command, FileAttrs, Owner, Source};
use templates::{BootstrapState, EtcdBootstrap, Template};

use crate::before::{self, Resource};
use crate::etcd::etcdctl::{Answer, EtcdCluster, EtcdPeer, Member, UNSETTLED};
use crate::etcd::look::EtcdTrace;
use crate::local_file;
use crate::shell::{must, refused};
use crate::{RemoveEtcdMember, TakeBack};

/// Whether a member may found a cluster where there is none.
#[derive(Clone, Debug)]
pub enum Entry {
    Founder {
        /// Of the other hosts, before any was touched; empty where one could not be asked.
        traces: Vec<(String, Slot<EtcdTrace>)>,
        /// Is there as soon as the cluster has been founded.
        note: Utf8PathBuf,
    },
    /// Whom it waits for.
    Joiner { founder: String },
}

/// Settles how a member comes into its cluster, before it is started for the first time: it joins the living cluster
/// as a learner, or founds one if it may and there can be no other. What was settled is in `bootstrap.env`.
///
/// Nothing is settled for good before the member has data: whoever is killed between its announcement and its start
/// finds itself in the list and goes on from there.
pub struct EnterEtcd {
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
    pub entry: Entry,
    pub token: String,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
    /// Full once it was settled in this run: then the member has had no time to start.
    pub settled: Slot<()>,
    /// Full once a cluster was founded in this run. The same for all members.
    pub founded: Slot<()>,
}

impl EnterEtcd {
    async fn trace(&self, cx: &Cx) -> Result<EtcdTrace, StepError> {
        EtcdTrace::of(cx, &self.data_dir, &self.bootstrap).await
    }

    async fn living(&self, cx: &Cx) -> Result<Answer, StepError> {
        let others: Vec<String> = self
            .cluster
            .others(&self.me)
            .map(EtcdPeer::client_url)
            .collect();
        if others.is_empty() {
            let why = "the config has no other member";
            return Ok(Answer::Silence(why.to_owned()));
        }
        self.cluster.ask(cx, &others).await
    }

    /// What `bootstrap.env` shall say.
    async fn enter(
        &self,
        cx: &Cx,
        was_here: bool,
    ) -> Result<(BootstrapState, Vec<String>), StepError> {
        let doubt = match &self.entry {
            Entry::Founder { traces, note } => {
                let founded = local_file::read(note)?.is_some();
                self.doubt(traces, founded.then_some(note), was_here)
            }
            Entry::Joiner { founder } => Some(Doubt {
                what: format!("{} joins etcd, and no member of it answers", self.me.name),
                hint: format!("on {founder}: journalctl -u etcd"),
            }),
        };
        let all_bare = match &self.entry {
            Entry::Founder { traces, .. } => traces
                .iter()
                .all(|(_, trace)| trace.get().is_some_and(|trace| trace.is_bare())),
            Entry::Joiner { .. } => false,
        };
        let answer = if all_bare {
            Answer::Silence("no other host has ever been a member".to_owned())
        } else {
            self.living(cx).await?
        };
        match (answer, doubt) {
            (Answer::Members(known), _) => self.join(cx, known).await,
            (Answer::Silence(_), None) => Ok((BootstrapState::New, vec![self.me.initial()])),
            (Answer::Silence(why), Some(Doubt { what, hint })) => {
                Err(StepError::new(format!("{what}: {why}")).with_hint(hint))
            }
        }
    }

    /// What speaks against founding a cluster even though no member answers.
    fn doubt(
        &self,
        traces: &[(String, Slot<EtcdTrace>)],
        founded: Option<&Utf8PathBuf>,
        was_here: bool,
    ) -> Option<Doubt> {
        let seen = |(_, trace): &&(String, Slot<EtcdTrace>)| {
            trace.get().is_some_and(|trace| !trace.is_bare())
        };
        if let Some((name, _)) = traces.iter().find(seen) {
            return Some(Doubt {
                what: format!("{name} has been a member of etcd, and nobody answers there"),
                hint: format!(
                    "no second cluster is founded beside it; on {name}: systemctl start etcd; journalctl -u etcd"
                ),
            });
        }
        // Without the note nobody but the founder can have data, whether or not a host could be asked.
        let note = founded?;
        if let Some((name, _)) = traces.iter().find(|(_, trace)| trace.get().is_none()) {
            return Some(Doubt {
                what: format!(
                    "{name} may be a member of etcd and could not be asked, and nobody answers there"
                ),
                hint: format!("run again when {name} can be reached"),
            });
        }
        was_here.then(|| Doubt {
            what: format!(
                "{} is empty on this host, and it was to hold the only data of etcd",
                self.data_dir
            ),
            hint: format!(
                "mount it, or put it back from a backup; if it is lost for good, a new and empty cluster is founded \
                 after: rm {note}"
            ),
        })
    }

    async fn join(
        &self,
        cx: &Cx,
        known: Vec<Member>,
    ) -> Result<(BootstrapState, Vec<String>), StepError> {
        let my_url = self.me.peer_url();
        let mine = known
            .iter()
            .find(|member| member.peer_urls.contains(&my_url));
        match mine {
            Some(member) if !member.name.is_empty() => {
                self.begin_anew(cx, member).await?;
                let others: Vec<Member> = known
                    .iter()
                    .filter(|other| other.id != member.id)
                    .cloned()
                    .collect();
                self.announce(cx, &others).await?;
            }
            Some(_) => {}
            None => self.announce(cx, &known).await?,
        }
        let mut initial: Vec<String> = known
            .into_iter()
            .filter(|member| !member.peer_urls.contains(&my_url))
            .flat_map(|member| {
                let name = member.name;
                member
                    .peer_urls
                    .into_iter()
                    .map(move |url| format!("{name}={url}"))
            })
            .collect();
        initial.push(self.me.initial());
        Ok((BootstrapState::Existing, initial))
    }

    /// Takes the member out that this host was: what it had promised to remember is lost with its data, and so it must not
    /// come back as the same. Where its data may only be out of sight it stays.
    async fn begin_anew(&self, cx: &Cx, member: &Member) -> Result<(), StepError> {
        let me = std::slice::from_ref(&self.me);
        if self.cluster.silent(cx, me).await?.is_empty() {
            return Err(StepError::new(format!(
                "{} serves as a member of etcd, and its data is not in {}",
                self.me.name, self.data_dir
            ))
            .with_hint(
                "put spec.etcd.dataDir back; where the data was removed under it: systemctl stop etcd there, and run again",
            ));
        }
        insist_on_mount(cx, &self.me.name, &self.data_dir).await?;
        let mut cluster = self.cluster.clone();
        cluster.peers.retain(|peer| *peer != self.me);
        let remove = RemoveEtcdMember {
            member: self.me.clone(),
            cluster,
        };
        let lost = format!(
            "etcd counts {} as its member {:x}, but {} is empty on this host",
            self.me.name, member.id, self.data_dir
        );
        remove.apply(cx).await.map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            let error = error.about(&lost);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    async fn announce(&self, cx: &Cx, known: &[Member]) -> Result<(), StepError> {
        announce(cx, &self.cluster, &self.me, known).await
    }
}

/// Announces a member as a learner to those who are known. etcd lets one in at a time; who is on the way in keeps others waiting
/// until it votes.
pub(crate) async fn announce(
    cx: &Cx,
    cluster: &EtcdCluster,
    me: &EtcdPeer,
    known: &[Member],
) -> Result<(), StepError> {
    if let Some(learner) = known.iter().find(|member| member.learner) {
        let (name, id) = (learner.title(), learner.id);
        return Err(StepError::new(format!(
            "{} cannot join etcd while {name} has not become a voting member",
            me.name
        ))
        .with_hint(format!(
            "let it finish: run again when its host is up; or take it out: etcdctl member remove {id:x}"
        )));
    }
    let url = format!("--peer-urls={}", me.peer_url());
    let add = ["member", "add", &me.name, "--learner", &url];
    let output = cluster.patiently(cx, &add, UNSETTLED).await?;
    if output.ok() {
        Ok(())
    } else {
        Err(refused("announce the member to etcd", &output))
    }
}

/// A member whose data may only be out of sight has not lost it.
pub(crate) async fn insist_on_mount(
    cx: &Cx,
    member: &str,
    data_dir: &Utf8Path,
) -> Result<(), StepError> {
    let script = Command::script(unmounted(data_dir.as_str(), "/etc/fstab"));
    let away = must(cx, "look where the data of etcd is mounted", script).await?;
    let Some(at) = away.text().lines().next().map(str::to_owned) else {
        return Ok(());
    };
    Err(StepError::new(format!(
        "etcd counts {member} as its member, and {at} is not mounted, where its data is by /etc/fstab"
    ))
    .with_hint(format!(
        "mount {at}; if that disk is lost for good, take its line out of /etc/fstab and run again: the member then joins anew"
    )))
}

/// Prints where a file system belongs, by this table, that is to hold the data and is not mounted.
fn unmounted(data_dir: &str, table: &str) -> String {
    let dir = host::quote(data_dir);
    format!(
        "[ ! -e {table} ] || awk -v dir={dir} '$1 !~ /^#/ && $2 != \"/\" && index(dir \"/\", $2 \"/\") == 1 {{ print $2 }}' {table} | \
while read -r at; do \
awk -v at=\"$at\" '$2 == at {{ there = 1 }} END {{ exit there }}' /proc/mounts && echo \"$at\" || true; done"
    )
}

/// Why the member must not found a cluster.
struct Doubt {
    what: String,
    hint: String,
}

#[async_trait]
impl Step for EnterEtcd {
    fn id(&self) -> String {
        "enter etcd".to_owned()
    }

    fn describe(&self) -> String {
        match self.entry {
            Entry::Founder { .. } => format!("found the etcd cluster with {}", self.me.name),
            Entry::Joiner { .. } => format!("announce {} to the etcd cluster", self.me.name),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.me, self.cluster.peers)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let EtcdTrace { data, entered } = self.trace(cx).await?;
        Ok(if entered && (data || self.settled.get().is_some()) {
            State::Satisfied
        } else if entered {
            State::needed("has no data")
        } else {
            State::needed("is no member yet")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let EtcdTrace { data, entered } = self.trace(cx).await?;
        if data {
            return Err(StepError::new(format!(
                "{} holds the data of an etcd that kubexm did not set up",
                self.data_dir
            ))
            .with_hint("move it away if nobody needs it, or set spec.etcd.dataDir"));
        }
        let (state, members) = self.enter(cx, entered).await?;
        let text = EtcdBootstrap {
            state,
            token: self.token.clone(),
            members,
        }
        .render()
        .map_err(|error| StepError::new(error.to_string()))?;
        let attrs = FileAttrs {
            mode: 0o640,
            owner: Owner {
                user: "root".to_owned(),
                group: "etcd".to_owned(),
            },
        };
        before::note(cx, &[Resource::File(self.bootstrap.clone())]).await?;
        let source = Source::Bytes(text.into());
        cx.host
            .upload(&source, &self.bootstrap, &attrs, &cx.progress)
            .await?;
        self.settled.fill(());
        if state == BootstrapState::New {
            self.founded.fill(());
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.bootstrap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_not_mounted_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("fstab");
        let told = |lines: &str, data: &str| {
            std::fs::write(&table, lines).unwrap();
            let script = unmounted(data, table.to_str().unwrap());
            let output = std::process::Command::new("sh")
                .args(["-euc", &script])
                .output();
            let output = output.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let disks = "# /dev/x /srv/etcd ext4\n/dev/a / ext4\n/dev/b /srv/etcd ext4 defaults 0 2\n/dev/c none swap\n";
        assert_eq!(told(disks, "/srv/etcd"), "/srv/etcd\n");
        assert_eq!(told(disks, "/srv/etcd/data"), "/srv/etcd\n");
        assert_eq!(told(disks, "/srv/etcd2"), "");
        assert_eq!(told("proc /proc proc\n", "/proc/etcd"), "");
        std::fs::remove_file(&table).unwrap();
        let script = unmounted("/srv/etcd", table.to_str().unwrap());
        let silent = std::process::Command::new("sh")
            .args(["-euc", &script])
            .output();
        assert!(silent.unwrap().status.success());
    }
}
