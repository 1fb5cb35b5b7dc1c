//! How steps talk to etcd: `etcdctl` on a member's own host, with its healthcheck certificate, be the member a service or
//! a static pod.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::{Cx, State, StepError};
use host::{Command, Output};
use serde::Deserialize;

use crate::kubeadm::container;
use crate::shell::ask;

/// A member as the config has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPeer {
    pub name: String,
    /// In brackets if it is IPv6.
    pub address: String,
}

impl EtcdPeer {
    #[must_use]
    pub fn peer_url(&self) -> String {
        format!("https://{}:2380", self.address)
    }

    #[must_use]
    pub fn client_url(&self) -> String {
        format!("https://{}:2379", self.address)
    }

    /// As `ETCD_INITIAL_CLUSTER` lists it.
    #[must_use]
    pub fn initial(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }
}

/// A cluster as the config has it, and what a host needs to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdCluster {
    pub peers: Vec<EtcdPeer>,
    pub runs: EtcdRuns,
}

/// How a member runs on its host, and so where its programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtcdRuns {
    /// As a service, with its certificates in this directory.
    Service { pki: String },
    /// As a static pod of kubeadm's: its programs are in the container.
    StaticPod,
}

impl EtcdRuns {
    fn pki(&self) -> &str {
        match self {
            Self::Service { pki } => pki,
            Self::StaticPod => "/etc/kubernetes/pki/etcd",
        }
    }

    /// Runs one of etcd's own programs.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        match self {
            Self::Service { .. } => {
                let (program, arguments) = argv.split_first().unwrap_or((&"true", &[]));
                let program = format!("/usr/local/bin/{program}");
                Command::new([program.as_str()].iter().chain(arguments).copied())
            }
            Self::StaticPod => {
                let words: Vec<String> = argv.iter().map(|word| host::quote(word)).collect();
                Command::script(format!(
                    "export PATH=\"/usr/local/bin:$PATH\"; id=$({}); \
                     [ -n \"$id\" ] || {{ echo 'etcd has no container that runs' >&2; exit 1; }}; \
                     exec crictl exec \"$id\" {}",
                    container("etcd"),
                    words.join(" ")
                ))
            }
        }
    }

    /// Where its last words are.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Service { .. } => JOURNAL_OF_EACH,
            Self::StaticPod => "on the masters: crictl ps -a --name etcd; crictl logs ID",
        }
    }
}

/// How long etcdctl may take with an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Within {
    Seconds(u32),
    /// As long as the host is given for the command.
    Host(Duration),
}

impl Within {
    const QUESTION: Self = Self::Seconds(5);
}

/// A member as etcd has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Member {
    #[serde(rename = "ID")]
    pub id: u64,
    /// Empty until the member has started.
    #[serde(default)]
    pub name: String,
    #[serde(rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    #[serde(rename = "clientURLs", default)]
    pub client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    pub learner: bool,
}

impl Member {
    /// Its name, or its address as long as it has none.
    pub fn title(&self) -> String {
        if self.name.is_empty() {
            self.peer_urls.join(",")
        } else {
            self.name.clone()
        }
    }
}

/// What comes of asking a cluster for its members.
pub(crate) enum Answer {
    Members(Vec<Member>),
    /// And why.
    Silence(String),
}

/// How long a learner may take to catch up, and members to find each other.
const PATIENCE: Duration = Duration::from_mins(5);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// etcdctl writes the log of its client between its own words.
pub(crate) fn leave_own_words(output: &mut Output) {
    let words = String::from_utf8_lossy(&output.stderr);
    let own: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with("{\"level\""))
        .collect();
    output.stderr = own.join("\n").into_bytes();
}

impl EtcdCluster {
    /// Where every member answers.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.peers.iter().map(EtcdPeer::client_url).collect()
    }

    /// All members but this one.
    pub(crate) fn others<'a>(&'a self, me: &'a EtcdPeer) -> impl Iterator<Item = &'a EtcdPeer> {
        self.peers.iter().filter(move |peer| peer.name != me.name)
    }

    /// Where a member answers on its own host, whatever address it had when it was started.
    #[must_use]
    pub fn here(&self) -> String {
        let v6 = self.peers.iter().all(|peer| peer.address.starts_with('['));
        format!("https://{}:2379", if v6 { "[::1]" } else { "127.0.0.1" })
    }

    /// Runs etcdctl against these endpoints.
    pub(crate) async fn etcdctl(
        &self,
        cx: &Cx,
        endpoints: &[String],
        arguments: &[&str],
    ) -> Result<Output, StepError> {
        self.etcdctl_within(cx, Within::QUESTION, endpoints, arguments)
            .await
    }

    /// The same for what takes its time.
    pub(crate) async fn etcdctl_within(
        &self,
        cx: &Cx,
        within: Within,
        endpoints: &[String],
        arguments: &[&str],
    ) -> Result<Output, StepError> {
        let command = self.etcdctl_command(within, endpoints, arguments);
        let mut output = ask(cx, command).await?;
        leave_own_words(&mut output);
        Ok(output)
    }

    fn etcdctl_command(&self, within: Within, endpoints: &[String], arguments: &[&str]) -> Command {
        let pki = self.runs.pki();
        let endpoints = format!("--endpoints={}", endpoints.join(","));
        let tls = [
            format!("--cacert={pki}/ca.crt"),
            format!("--cert={pki}/healthcheck-client.crt"),
            format!("--key={pki}/healthcheck-client.key"),
        ];
        let seconds = match within {
            Within::Seconds(seconds) => Some(format!("--command-timeout={seconds}s")),
            Within::Host(_) => None,
        };
        let mut argv = vec!["etcdctl", "--dial-timeout=2s"];
        argv.extend(seconds.as_deref());
        argv.push(&endpoints);
        argv.extend(tls.iter().map(String::as_str));
        argv.extend(arguments);
        let command = self.runs.command(&argv);
        match within {
            Within::Seconds(_) => command,
            Within::Host(limit) => command.timeout(limit),
        }
    }

    /// A command that ends well where this host's own member serves: the read that `endpoint health` begins with, since that
    /// one fails on every member while one of them has raised an alarm.
    #[must_use]
    pub fn answers_here(&self) -> Command {
        self.etcdctl_command(Within::QUESTION, &[self.here()], &["get", "health"])
            .as_root()
    }

    /// A command that ends well where this host's own member answers, be it a learner, which serves no linearizable read.
    #[must_use]
    pub(crate) fn status_here(&self) -> Command {
        self.etcdctl_command(Within::QUESTION, &[self.here()], &["endpoint", "status"])
    }

    /// The same, asked again for as long as etcd answers that it is not ready for the change: `excuse` is what it says
    /// then.
    pub(crate) async fn patiently(
        &self,
        cx: &Cx,
        arguments: &[&str],
        excuse: &str,
    ) -> Result<Output, StepError> {
        let last = Mutex::new(None);
        let look = || async {
            let output = self.etcdctl(cx, &self.endpoints(), arguments).await?;
            let words = output.last_words();
            let done = output.ok() || !words.contains(excuse);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
            Ok(if done {
                State::Satisfied
            } else {
                State::Needed(words)
            })
        };
        cx.try_until(PATIENCE, ASK_EVERY, look).await?;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        last.ok_or_else(|| StepError::new("etcd was not asked"))
    }

    /// Asks for the members, for callers to whom silence is an answer as well.
    pub(crate) async fn ask(&self, cx: &Cx, endpoints: &[String]) -> Result<Answer, StepError> {
        #[derive(Deserialize)]
        struct List {
            members: Vec<Member>,
        }
        let list = ["member", "list", "--write-out=json"];
        let output = self.etcdctl(cx, endpoints, &list).await?;
        if !output.ok() {
            return Ok(Answer::Silence(output.last_words()));
        }
        let list: List = serde_json::from_slice(&output.stdout).map_err(|error| {
            StepError::new(format!("cannot read etcd's list of members: {error}"))
        })?;
        self.audit(&list.members)?;
        Ok(Answer::Members(list.members))
    }

    /// The members that the cluster lists. A learner among those that are asked passes the question on. Silence may
    /// pass: a member that was cut off takes some seconds to find the others again.
    pub(crate) async fn members(&self, cx: &Cx) -> Result<Vec<Member>, StepError> {
        match self.ask(cx, &self.endpoints()).await? {
            Answer::Members(members) => Ok(members),
            Answer::Silence(why) => Err(StepError::passing(format!("etcd does not answer: {why}"))
                .with_hint(self.runs.hint())),
        }
    }

    /// Who of the config votes, by what the cluster lists.
    pub(crate) fn voters(&self, members: &[Member]) -> Vec<EtcdPeer> {
        let votes = |peer: &&EtcdPeer| {
            let url = peer.peer_url();
            let mut voters = members.iter().filter(|member| !member.learner);
            voters.any(|member| member.peer_urls.contains(&url))
        };
        self.peers.iter().filter(votes).cloned().collect()
    }

    /// A cluster with members that the config does not know is not touched: what looks safe for the members of the
    /// config may cost it its majority.
    fn audit(&self, members: &[Member]) -> Result<(), StepError> {
        for member in members {
            let Member { id, peer_urls, .. } = member;
            let known = |peer: &&EtcdPeer| peer_urls.contains(&peer.peer_url());
            if self.peers.iter().find(known).is_some() {
                continue;
            }
            let moved = self.peers.iter().find(|peer| peer.name == member.name);
            return Err(match moved {
                Some(peer) => StepError::new(format!(
                    "etcd has {} at {}, and the config has it at {}",
                    peer.name,
                    peer_urls.join(","),
                    peer.peer_url()
                ))
                .with_hint(format!(
                    "if it has moved: etcdctl member update {id:x} --peer-urls={}; otherwise correct its \
                     internalAddress",
                    peer.peer_url()
                )),
                None => StepError::new(format!(
                    "etcd has a member that the config does not list: {}",
                    member.title()
                ))
                .with_hint(format!(
                    "add it to the role etcd, or take it out: kubexm delete node NAME, or etcdctl member remove {id:x}"
                )),
            });
        }
        Ok(())
    }
}

/// What etcd says to a change of its members when these have not been connected for some seconds yet.
pub(crate) const UNSETTLED: &str = "unhealthy cluster";

pub(crate) const JOURNAL_OF_EACH: &str = "on each member: journalctl -u etcd";
