use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// At most one IPv4 and one IPv6 address, written `"172.16.0.2,2022::2"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpPair {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

impl IpPair {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// The addresses there are, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4
            .map(IpAddr::V4)
            .into_iter()
            .chain(self.v6.map(IpAddr::V6))
    }
}

impl From<IpAddr> for IpPair {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self {
                v4: Some(v4),
                v6: None,
            },
            IpAddr::V6(v6) => Self {
                v4: None,
                v6: Some(v6),
            },
        }
    }
}

/// A network, e.g. `172.16.0.0/24`, without bits set beyond its mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(IpNet);

impl Cidr {
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }
}

/// One IPv4 and one IPv6 network, or one of them, written `"10.233.64.0/18,fd85::/112"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CidrPair {
    pub v4: Option<Ipv4Net>,
    pub v6: Option<Ipv6Net>,
}

impl CidrPair {
    /// The networks there are, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = Cidr> + use<> {
        let v4 = self.v4.map(IpNet::V4).into_iter();
        v4.chain(self.v6.map(IpNet::V6)).map(Cidr)
    }

    /// The address at this place of each network that reaches so far: the 1st of the services' is the apiservers', the
    /// 10th that of DNS.
    #[must_use]
    pub fn nth(&self, place: u8) -> Vec<IpAddr> {
        let nth = |net: IpNet| {
            let ip = match net.network() {
                IpAddr::V4(ip) => {
                    Ipv4Addr::from_bits(ip.to_bits().checked_add(place.into())?).into()
                }
                IpAddr::V6(ip) => {
                    Ipv6Addr::from_bits(ip.to_bits().checked_add(place.into())?).into()
                }
            };
            net.contains(&ip).then_some(ip)
        };
        self.iter().filter_map(|cidr| nth(cidr.net())).collect()
    }
}

/// Why a text is no address or network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("'{0}' is not an IP address")]
    NotAnIp(String),
    #[error("'{0}' is not a network")]
    NotACidr(String),
    #[error("{cidr} has host bits set beyond its mask")]
    HostBits { cidr: IpNet },
    #[error("two {family} values where one is allowed")]
    Twice { family: &'static str },
    #[error("there is no network in it")]
    Empty,
}

impl InvalidAddress {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAnIp(text) if text.contains('/') => {
                "write the address without a mask".to_owned()
            }
            Self::NotAnIp(_) => {
                "give one IPv4 address, one IPv6 address, or both with a comma between: \"172.16.0.2,2022::2\"".to_owned()
            }
            Self::NotACidr(text) if text.parse::<IpAddr>().is_ok() => {
                format!("a network needs a mask, e.g. {text}/24")
            }
            Self::NotACidr(_) | Self::Empty => {
                "write it as ADDRESS/BITS, e.g. 10.233.64.0/18".to_owned()
            }
            Self::HostBits { cidr } => format!("did you mean '{}'?", cidr.trunc()),
            Self::Twice { .. } => {
                "one IPv4 and one IPv6 are allowed, with a comma between".to_owned()
            }
        })
    }
}

impl FromStr for Cidr {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let cidr: IpNet = text
            .parse()
            .map_err(|_| InvalidAddress::NotACidr(text.to_owned()))?;
        if cidr.trunc() == cidr {
            Ok(Self(cidr))
        } else {
            Err(InvalidAddress::HostBits { cidr })
        }
    }
}

impl FromStr for CidrPair {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut pair = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.parse::<Cidr>()?.0 {
                IpNet::V4(net) => set(&mut pair.v4, net, "IPv4")?,
                IpNet::V6(net) => set(&mut pair.v6, net, "IPv6")?,
            }
        }
        if pair == Self::default() {
            Err(InvalidAddress::Empty)
        } else {
            Ok(pair)
        }
    }
}

impl FromStr for IpPair {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut pair = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part
                .parse()
                .map_err(|_| InvalidAddress::NotAnIp(part.to_owned()))?
            {
                IpAddr::V4(ip) => set(&mut pair.v4, ip, "IPv4")?,
                IpAddr::V6(ip) => set(&mut pair.v6, ip, "IPv6")?,
            }
        }
        Ok(pair)
    }
}

fn set<T>(slot: &mut Option<T>, value: T, family: &'static str) -> Result<(), InvalidAddress> {
    match slot.replace(value) {
        Some(_) => Err(InvalidAddress::Twice { family }),
        None => Ok(()),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CidrPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, self.iter())
    }
}

impl fmt::Display for IpPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, self.iter())
    }
}

fn join<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

macro_rules! text_form {
    ($type:ident, $format:literal, $description:literal, $example:literal) => {
        impl TryFrom<String> for $type {
            type Error = InvalidAddress;

            fn try_from(text: String) -> Result<Self, InvalidAddress> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": $format,
                    "description": $description,
                    "examples": [$example],
                })
            }
        }
    };
}

text_form!(
    IpPair,
    "ip-pair",
    "One IPv4 address, one IPv6 address, or both with a comma between.",
    "172.16.0.2,2022::2"
);
text_form!(
    Cidr,
    "cidr-block",
    "A network without bits set beyond its mask.",
    "172.16.0.0/24"
);
text_form!(
    CidrPair,
    "cidr-pair",
    "One IPv4 network, one IPv6 network, or both with a comma between.",
    "10.233.64.0/18,fd85:ee78:d8a6:8607::1:0/112"
);
