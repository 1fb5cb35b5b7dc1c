//! How steps talk to etcd: `etcdctl` on a member's own host, with its healthcheck certificate.

use std::time::Duration;

use engine::{Cx, StepError};
use host::{Command, Output};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::shell::{ask, refused};

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
    #[serde(rename = "isLearner", default)]
    pub learner: bool,
}

/// Runs etcdctl against these endpoints.
pub(crate) async fn etcdctl(
    cx: &Cx,
    pki: &str,
    endpoints: &[String],
    arguments: &[&str],
) -> Result<Output, StepError> {
    let endpoints = format!("--endpoints={}", endpoints.join(","));
    let tls = [
        format!("--cacert={pki}/ca.crt"),
        format!("--cert={pki}/healthcheck-client.crt"),
        format!("--key={pki}/healthcheck-client.key"),
    ];
    let mut argv = vec![
        "/usr/local/bin/etcdctl",
        "--dial-timeout=2s",
        "--command-timeout=5s",
    ];
    argv.push(&endpoints);
    argv.extend(tls.iter().map(String::as_str));
    argv.extend(arguments);
    let mut output = ask(cx, Command::new(argv)).await?;
    // etcdctl writes the log of its client between its own words.
    let words = String::from_utf8_lossy(&output.stderr);
    let own: Vec<&str> = words
        .lines()
        .filter(|line| !line.starts_with("{\"level\""))
        .collect();
    output.stderr = own.join("\n").into_bytes();
    Ok(output)
}

/// The same, asked again for as long as etcd answers that it is not ready for the change: `excuse` is what it says then.
pub(crate) async fn patiently(
    cx: &Cx,
    pki: &str,
    endpoints: &[String],
    arguments: &[&str],
    excuse: &str,
) -> Result<Output, StepError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = etcdctl(cx, pki, endpoints, arguments).await?;
        let excused = output.last_words().contains(excuse);
        if output.ok() || !excused || Instant::now() > deadline {
            return Ok(output);
        }
        sleep(ASK_EVERY).await;
    }
}

/// How long a learner may take to catch up, and members to find each other.
const PATIENCE: Duration = Duration::from_mins(5);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The members that the cluster behind these endpoints lists.
pub(crate) async fn members(
    cx: &Cx,
    pki: &str,
    endpoints: &[String],
) -> Result<Vec<Member>, StepError> {
    #[derive(Deserialize)]
    struct List {
        members: Vec<Member>,
    }
    let output = etcdctl(cx, pki, endpoints, &["member", "list", "--write-out=json"]).await?;
    if !output.ok() {
        return Err(refused("list etcd's members", &output));
    }
    let list: List = serde_json::from_slice(&output.stdout)
        .map_err(|error| StepError::new(format!("cannot read etcd's list of members: {error}")))?;
    Ok(list.members)
}
