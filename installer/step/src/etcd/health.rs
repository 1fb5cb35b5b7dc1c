//! Whether members serve. An alarm of one member makes etcdctl call all of them unhealthy, though each of them serves: the
//! cures of an alarm must not wait for an end of it.

use std::collections::BTreeSet;

use engine::{Cx, StepError};
use serde::Deserialize;

use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, Member};
use crate::etcd::status::EtcdAlarm;
use crate::shell::refused;

/// What comes of `endpoint health` for one member.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Health {
    pub endpoint: String,
    #[serde(rename = "health")]
    well: bool,
    #[serde(default)]
    pub took: String,
    #[serde(default)]
    pub error: String,
}

/// How etcdctl begins its complaint where alarms are all that it has to complain about.
const ALARMS: &str = "Active Alarm(s):";

impl Health {
    /// It has served a linearizable read: only then etcdctl asks for alarms.
    pub fn serves(&self) -> bool {
        self.well || self.error.starts_with(ALARMS)
    }

    /// Of some member of the cluster, not of this one.
    pub fn tells_of_corruption(&self) -> bool {
        self.error.starts_with(ALARMS) && self.error.contains(EtcdAlarm::Corrupt.name())
    }

    #[cfg(test)]
    pub fn of(endpoint: &str, well: bool, error: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            well,
            took: String::new(),
            error: error.to_owned(),
        }
    }
}

/// An alarm, and who has raised it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Raised {
    #[serde(rename = "memberID", default)]
    pub member: u64,
    #[serde(default)]
    alarm: u64,
}

impl Raised {
    pub const fn alarm(self) -> EtcdAlarm {
        EtcdAlarm::of(self.alarm)
    }
}

/// What `alarm list` says.
pub(crate) fn read_alarms(json: &[u8]) -> Result<Vec<Raised>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Alarms {
        #[serde(default)]
        alarms: Vec<Raised>,
    }
    serde_json::from_slice(json).map(|Alarms { alarms }| alarms)
}

/// Where the members are reached whose stores differ from the others'.
pub(crate) fn corrupt<'a>(
    alarms: &[Raised],
    members: &'a [Member],
) -> impl Iterator<Item = &'a Member> {
    let of = alarms
        .iter()
        .filter(|raised| raised.alarm() == EtcdAlarm::Corrupt);
    let of: BTreeSet<u64> = of.map(|raised| raised.member).collect();
    members.iter().filter(move |member| of.contains(&member.id))
}

impl EtcdCluster {
    async fn health(&self, cx: &Cx, peers: &[EtcdPeer]) -> Result<Vec<Health>, StepError> {
        let endpoints: Vec<String> = peers.iter().map(EtcdPeer::client_url).collect();
        let ask = ["endpoint", "health", "--write-out=json"];
        let output = self.etcdctl(cx, &endpoints, &ask).await?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| refused("ask etcd for its health", &output))
    }

    pub(crate) async fn alarms(
        &self,
        cx: &Cx,
        endpoints: &[String],
    ) -> Result<Vec<Raised>, StepError> {
        let list = ["alarm", "list", "--write-out=json"];
        let output = self.etcdctl(cx, endpoints, &list).await?;
        read_alarms(&output.stdout).map_err(|_| refused("ask etcd for its alarms", &output))
    }

    /// The names of those who do not serve.
    pub(crate) async fn silent(
        &self,
        cx: &Cx,
        peers: &[EtcdPeer],
    ) -> Result<Vec<String>, StepError> {
        Ok(not_in(peers, &serving(&self.health(cx, peers).await?)))
    }

    /// The names of those who cannot be relied on while another is away: they do not serve, or serve what the others do
    /// not have.
    pub(crate) async fn unhealthy(
        &self,
        cx: &Cx,
        peers: &[EtcdPeer],
    ) -> Result<Vec<String>, StepError> {
        let health = self.health(cx, peers).await?;
        let mut well = serving(&health);
        if health.iter().any(Health::tells_of_corruption) {
            let alarms = self.alarms(cx, &self.endpoints()).await?;
            let members = self.members(cx).await?;
            let corrupt: Vec<&Member> = corrupt(&alarms, &members).collect();
            let is_corrupt = |peer: &EtcdPeer| {
                let url = peer.peer_url();
                corrupt.iter().any(|member| member.peer_urls.contains(&url))
            };
            for peer in peers.iter().filter(|peer| is_corrupt(peer)) {
                well.remove(&peer.client_url());
            }
        }
        Ok(not_in(peers, &well))
    }
}

fn serving(health: &[Health]) -> BTreeSet<String> {
    let serving = health.iter().filter(|health| health.serves());
    serving.map(|health| health.endpoint.clone()).collect()
}

fn not_in(peers: &[EtcdPeer], well: &BTreeSet<String>) -> Vec<String> {
    let ill = peers
        .iter()
        .filter(|peer| !well.contains(&peer.client_url()));
    ill.map(|peer| peer.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_beside_an_alarm() {
        let said = |error: &str| Health::of("https://10.0.0.1:2379", false, error);
        assert!(said("Active Alarm(s): NOSPACE ").serves());
        assert!(!said("Active Alarm(s): NOSPACE ").tells_of_corruption());
        assert!(said("Active Alarm(s): NOSPACE CORRUPT ").tells_of_corruption());
        for ill in [
            "context deadline exceeded",
            "Unable to fetch the alarm list",
        ] {
            assert!(!said(ill).serves(), "{ill}");
        }
    }
}
