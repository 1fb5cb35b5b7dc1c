use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};
use host::Command;
use ipnet::IpNet;

use crate::shell::must;

/// An address of a host, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub interface: String,
    /// The address with the network around it.
    pub address: IpNet,
    pub mtu: u32,
}

/// Finds the interface that has an address of the host.
pub struct FindLink {
    pub address: IpAddr,
    pub link: Slot<Link>,
}

/// A line for each address, then one for each interface: its name and its MTU.
const ASK: &str = "PATH=$PATH:/usr/sbin:/sbin; ip -o addr show && cd /sys/class/net && \
                   for name in *; do [ ! -r $name/mtu ] || echo \"$name mtu $(cat $name/mtu)\"; done";

/// Every address of every interface.
pub(crate) async fn ask_links(cx: &Cx) -> Result<Vec<Link>, StepError> {
    let output = must(cx, "list the interfaces", Command::script(ASK)).await?;
    Ok(links(&output.text()))
}

fn links(text: &str) -> Vec<Link> {
    let mtu_of = |line: &'_ str| -> Option<(String, u32)> {
        let (name, mtu) = line.split_once(" mtu ")?;
        Some((name.to_owned(), mtu.parse().ok()?))
    };
    let mtus: BTreeMap<String, u32> = text.lines().filter_map(mtu_of).collect();
    let link = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, name, "inet" | "inet6", address, ..] = words[..] else {
            return None;
        };
        // A tunnel's address stands without a mask: nobody else is in its network.
        let address = address
            .parse()
            .or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
        let interface = name.split('@').next().unwrap_or(name).to_owned();
        Some(Link {
            mtu: *mtus.get(&interface)?,
            address: address.ok()?,
            interface,
        })
    };
    text.lines().filter_map(link).collect()
}

#[async_trait]
impl Question for FindLink {
    fn id(&self) -> String {
        "find link".to_owned()
    }

    fn describe(&self) -> String {
        format!("find the interface of {}", self.address)
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.link.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let links = ask_links(cx).await?;
        let found = links
            .into_iter()
            .find(|link| link.address.addr() == self.address);
        let Some(link) = found else {
            let error = format!("no interface has the address {}", self.address);
            return Err(StepError::new(error).with_hint("correct `internalAddress` of the host"));
        };
        self.link.fill(link);
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_network_and_the_interface_s_mtu() {
        let text = "\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: host0    inet 172.16.0.2/24 brd 172.16.0.255 scope global host0\\       valid_lft forever
2: host0    inet6 2022::2/64 scope global \\       valid_lft forever preferred_lft forever
3: ppp0    inet 10.0.0.1 peer 10.0.0.2/32 scope global ppp0
host0 mtu 1450
lo mtu 65536
ppp0 mtu 1492
";
        let shown: Vec<String> = links(text)
            .into_iter()
            .map(|link| format!("{} {} {}", link.interface, link.address, link.mtu))
            .collect();
        assert_eq!(
            shown,
            [
                "lo 127.0.0.1/8 65536",
                "host0 172.16.0.2/24 1450",
                "host0 2022::2/64 1450",
                "ppp0 10.0.0.1/32 1492"
            ]
        );
    }
}
