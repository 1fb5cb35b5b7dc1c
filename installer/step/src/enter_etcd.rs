use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, State, Step, StepError};
use host::{Command, FileAttrs, Owner, Source};
use templates::{BootstrapState, EtcdBootstrap, Template};

use crate::etcdctl::{EtcdPeer, Member, members, patiently};
use crate::shell::ask;

/// Whether a member may found a cluster where it finds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Founder,
    Joiner,
}

/// Settles how a member comes into its cluster, before it is started for the first time: it joins the living cluster
/// as a learner, or founds one if it may and nobody else answers. What was settled is in `bootstrap.env`.
///
/// A joiner that is killed between its announcement and its start finds itself in the list and goes on from there.
pub struct EnterEtcd {
    pub me: EtcdPeer,
    pub others: Vec<EtcdPeer>,
    pub entry: Entry,
    pub token: String,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
    pub pki: String,
}

impl EnterEtcd {
    fn endpoints(&self) -> Vec<String> {
        self.others.iter().map(EtcdPeer::client_url).collect()
    }

    async fn join(&self, cx: &Cx, known: Vec<Member>) -> Result<Vec<String>, StepError> {
        let my_url = self.me.peer_url();
        let mine = known
            .iter()
            .find(|member| member.peer_urls.contains(&my_url));
        match mine {
            Some(member) if !member.name.is_empty() => {
                return Err(StepError::new(format!(
                    "etcd counts {} as its member {:x}, but {} is empty on this host",
                    self.me.name, member.id, self.data_dir
                ))
                .with_hint(format!(
                    "if its data is lost for good, take it out first: etcdctl member remove {:x}; then run again",
                    member.id
                )));
            }
            Some(_) => {}
            None => {
                let url = format!("--peer-urls={my_url}");
                let add = ["member", "add", &self.me.name, "--learner", &url];
                // etcd takes nobody in before its members have been connected for some seconds.
                let excuse = "unhealthy cluster";
                let output = patiently(cx, &self.pki, &self.endpoints(), &add, excuse).await?;
                if !output.ok() {
                    return Err(crate::shell::refused(
                        "announce the member to etcd",
                        &output,
                    ));
                }
            }
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
        Ok(initial)
    }
}

#[async_trait]
impl Step for EnterEtcd {
    fn id(&self) -> String {
        "enter etcd".to_owned()
    }

    fn describe(&self) -> String {
        match self.entry {
            Entry::Founder => format!("found the etcd cluster with {}", self.me.name),
            Entry::Joiner => format!("announce {} to the etcd cluster", self.me.name),
        }
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.me, self.others)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let file = host::quote(self.bootstrap.as_str());
        let output = ask(cx, Command::script(format!("[ -s {file} ]"))).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed("is no member yet")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let data = host::quote(self.data_dir.join("member").as_str());
        if ask(cx, Command::script(format!("[ -e {data} ]")))
            .await?
            .ok()
        {
            return Err(StepError::new(format!(
                "{} holds the data of an etcd that kubexm did not set up",
                self.data_dir
            ))
            .with_hint("move it away if nobody needs it, or set spec.etcd.dataDir"));
        }
        let living = if self.others.is_empty() {
            None
        } else {
            members(cx, &self.pki, &self.endpoints()).await.ok()
        };
        let (state, members) = match (living, self.entry) {
            (Some(known), _) => (BootstrapState::Existing, self.join(cx, known).await?),
            (None, Entry::Founder) => (BootstrapState::New, vec![self.me.initial()]),
            (None, Entry::Joiner) => {
                return Err(StepError::new("no member of the etcd cluster answers"));
            }
        };
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
        let source = Source::Bytes(text.into());
        Ok(cx
            .host
            .upload(&source, &self.bootstrap, &attrs, &cx.progress)
            .await?)
    }
}
