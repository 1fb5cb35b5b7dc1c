//! What a host tells beside its facts: asked in one script, told in types, and judged elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use engine::{Cx, StepError};
use host::Command;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use serde::Serialize;

use super::Requirements;
use crate::shell::ask;

/// A host as it is, whatever is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// Where packets go. None: it does not tell.
    pub routes: Option<Vec<Route>>,
    /// What is behind paths.
    pub places: BTreeMap<String, Place>,
    pub units: Vec<Unit>,
    /// Sockets that somebody listens at.
    pub sockets: Vec<String>,
    /// Paths at which something is that another installation may have left.
    pub traces: Vec<String>,
    /// Directories that are not there.
    pub absent: Vec<String>,
    /// UDP ports that somebody has.
    pub datagram_ports: Vec<u16>,
    /// `/etc/hosts` as far as it stands before the block of kubexm.
    pub hosts: Vec<HostsLine>,
    /// What programs say of their version, by name.
    pub programs: BTreeMap<String, String>,
    /// The images of static pods, by the file of the pod.
    pub pods: BTreeMap<String, String>,
    /// Since when files are as they are.
    pub since: BTreeMap<String, Timestamp>,
    /// What cloud-init is told of `/etc/hosts`. The last one holds.
    pub manage_etc_hosts: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    pub to: IpNet,
    pub interface: String,
    pub origin: Origin,
}

/// Who made a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Origin {
    System,
    /// The kernel itself, as a router advertised it. It does so until it forwards packets.
    Advertised,
    /// The same, also while it forwards.
    AdvertisedAlways,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Where links lead to.
    pub path: String,
    /// The kind of its file system, as stat names it.
    pub kind: String,
}

/// A systemd unit that was asked after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unit {
    pub name: String,
    pub activity: Activity,
    /// The file that it is written in.
    pub file: String,
    /// Since when it has been at work.
    pub since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    AtWork,
    /// It begins with the host.
    AtBoot,
    Idle,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostsLine {
    pub number: usize,
    pub address: IpAddr,
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub file: String,
    pub value: String,
}

impl Observed {
    /// The path itself where nothing is known of it.
    pub(super) fn real<'a>(&'a self, path: &'a str) -> &'a str {
        self.places.get(path).map_or(path, |place| &place.path)
    }
}

const SCRIPT: &str = include_str!("observe.sh");

/// Asks a host all that these requirements are judged by.
pub(super) async fn look(cx: &Cx, wanted: &Requirements) -> Result<Observed, StepError> {
    let spaces = wanted.space.iter().map(|space| &space.path);
    let places = spaces.chain(&wanted.executable).chain(&wanted.overlay);
    let places = places.chain(wanted.evictions.iter().map(|eviction| &eviction.path));
    let places = places.map(|path| ["place", path]);
    let traces = wanted.leftovers.iter();
    let traces = traces.map(|leftover| ["trace", &leftover.path]);
    let units = wanted.rivals.iter().map(|rival| ["unit", rival.unit]);
    let sockets = wanted.sockets.iter().map(|socket| ["socket", socket.path]);
    let directories = wanted.directories.iter();
    let directories = directories.map(|directory| ["directory", directory.path]);
    let named = places.chain(traces).chain(units).chain(sockets);
    asked(cx, named.chain(directories).flatten().collect()).await
}

/// Asks a host this: kinds and names in turn.
pub(super) async fn asked(cx: &Cx, named: Vec<&str>) -> Result<Observed, StepError> {
    let argv = ["sh", "-c", SCRIPT, "observe"].into_iter().chain(named);
    let answer = ask(cx, Command::new(argv)).await?;
    Ok(parse(&answer.text()))
}

fn parse(text: &str) -> Observed {
    let sections: BTreeMap<&str, &str> = text
        .split("@@kubexm ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .collect();
    let lines = |name: &str| sections.get(name).copied().unwrap_or_default().lines();
    let accepts: Vec<(&str, &str)> = lines("accept_ra")
        .filter_map(|line| line.rsplit_once(':'))
        .collect();
    let mut routes: Vec<Route> = lines("routes4").filter_map(route_v4).collect();
    routes.extend(lines("routes6").filter_map(|line| route_v6(line, &accepts)));
    let mut told = lines("routes4").chain(lines("routes6"));
    let mut observed = Observed {
        routes: told.next().map(|_| routes),
        hosts: hosts(lines("hosts")),
        datagram_ports: lines("udp").filter_map(local_port).collect(),
        manage_etc_hosts: lines("cloud").filter_map(setting).collect(),
        ..Observed::default()
    };
    let boot = lines("clock").find_map(boot);
    for line in lines("asked") {
        let words: Vec<&str> = line.split('\t').collect();
        match words[..] {
            ["place", asked, path, kind] => {
                let place = Place {
                    path: path.to_owned(),
                    kind: kind.to_owned(),
                };
                observed.places.insert(asked.to_owned(), place);
            }
            ["absent", path] => observed.absent.push(path.to_owned()),
            ["trace", path] => observed.traces.push(path.to_owned()),
            ["socket", path] => observed.sockets.push(path.to_owned()),
            ["program", name, says] => {
                observed.programs.insert(name.to_owned(), says.to_owned());
            }
            ["pod", file, image] => {
                observed.pods.insert(file.to_owned(), image.to_owned());
            }
            ["since", file, seconds] => {
                let at = seconds.parse().ok().and_then(at);
                observed.since.extend(at.map(|at| (file.to_owned(), at)));
            }
            ["unit", name, property] => observed.note_unit(name, property, boot),
            _ => {}
        }
    }
    observed
}

impl Observed {
    /// Properties of a unit come one by one.
    fn note_unit(&mut self, name: &str, property: &str, boot: Option<f64>) {
        let known = self.units.iter_mut().position(|unit| unit.name == name);
        let at = known.unwrap_or_else(|| {
            self.units.push(Unit {
                name: name.to_owned(),
                activity: Activity::Idle,
                file: String::new(),
                since: None,
            });
            self.units.len() - 1
        });
        let unit = &mut self.units[at];
        match property.split_once('=') {
            Some(("ActiveState", "active" | "activating" | "reloading")) => {
                unit.activity = Activity::AtWork;
            }
            Some(("UnitFileState", "enabled" | "enabled-runtime"))
                if unit.activity == Activity::Idle =>
            {
                unit.activity = Activity::AtBoot;
            }
            Some(("FragmentPath", path)) => path.clone_into(&mut unit.file),
            Some(("ActiveEnterTimestampMonotonic", micros)) => {
                unit.since = since_boot(micros, boot).filter(|_| micros != "0");
            }
            _ => {}
        }
    }
}

/// When the host began, in seconds, out of what its clock says and for how long it has run.
fn boot(line: &str) -> Option<f64> {
    let (now, up) = line.split_once(' ')?;
    Some(now.parse::<f64>().ok()? - up.parse::<f64>().ok()?)
}

fn since_boot(micros: &str, boot: Option<f64>) -> Option<Timestamp> {
    let after = Duration::from_micros(micros.parse().ok()?);
    let boot = Timestamp::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(boot?).ok()?);
    let since = boot.ok()?.checked_add(after).ok()?;
    at(since.as_second())
}

fn at(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

const REJECTS: u32 = 0x0200;
const BY_ADVERTISEMENT: u32 = 0x0004_0000;

/// A line of `/proc/net/route`, which has addresses as the memory has them.
fn route_v4(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
    let (to, flags, mask) = (number(1)?, number(3)?, number(7)?);
    if flags & REJECTS != 0 {
        return None;
    }
    let prefix = u8::try_from(mask.count_ones()).ok()?;
    let to = Ipv4Net::new(Ipv4Addr::from(to.to_le_bytes()), prefix).ok()?;
    Some(Route {
        to: to.into(),
        interface: (*words.first()?).to_owned(),
        origin: Origin::System,
    })
}

/// A line of `/proc/net/ipv6_route`.
fn route_v6(line: &str, accepts: &[(&str, &str)]) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [to, prefix, _, _, _, _, _, _, flags, interface] = words[..] else {
        return None;
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & REJECTS != 0 || interface == "lo" {
        return None;
    }
    let to = Ipv6Addr::from(u128::from_str_radix(to, 16).ok()?);
    let to = Ipv6Net::new(to, u8::from_str_radix(prefix, 16).ok()?).ok()?;
    let file = format!("/proc/sys/net/ipv6/conf/{interface}/accept_ra");
    let always = accepts
        .iter()
        .any(|(path, value)| *path == file && *value == "2");
    let origin = match flags & BY_ADVERTISEMENT {
        0 => Origin::System,
        _ if always => Origin::AdvertisedAlways,
        _ => Origin::Advertised,
    };
    Some(Route {
        to: to.into(),
        interface: interface.to_owned(),
        origin,
    })
}

/// Of a line of `/proc/net/udp`.
fn local_port(line: &str) -> Option<u16> {
    let (_, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

/// What stands before the block of kubexm, without what a join puts there for itself.
fn hosts<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<HostsLine> {
    let before = lines.take_while(|line| !line.starts_with("# BEGIN kubexm "));
    let line = |(at, line): (usize, &str)| {
        let (line, comment) = line.split_once('#').unwrap_or((line, ""));
        if comment.trim() == "kubexm: while joining" {
            return None;
        }
        let mut words = line.split_whitespace();
        Some(HostsLine {
            number: at + 1,
            address: words.next()?.parse().ok()?,
            names: words.map(str::to_owned).collect(),
        })
    };
    before.enumerate().filter_map(line).collect()
}

fn setting(line: &str) -> Option<Setting> {
    let (file, setting) = line.split_once(':')?;
    let (_, value) = setting.split_once(':')?;
    let value = value.split('#').next()?.trim().trim_matches(['"', '\'']);
    Some(Setting {
        file: file.to_owned(),
        value: value.to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "\n@@kubexm clock
1764490323 3600.50

@@kubexm routes4
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t0000E90A\t00000000\t0001\t0\t0\t0\t00C0FFFF\t0\t0\t0
*\t0000000A\t00000000\t0200\t0\t0\t0\t000000FF\t0\t0\t0

@@kubexm routes6
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000002 00000000 00450003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo

@@kubexm accept_ra
/proc/sys/net/ipv6/conf/all/accept_ra:1
/proc/sys/net/ipv6/conf/eth0/accept_ra:1

@@kubexm hosts
127.0.0.1 localhost # here
10.1.1.1  lb.site lb
10.0.0.2 lb.site # kubexm: while joining
# BEGIN kubexm demo
10.0.0.9 lb.site
# END kubexm demo

@@kubexm cloud
/etc/cloud/cloud.cfg:manage_etc_hosts: True # as templates say

@@kubexm udp
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  442: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 15 2 0 0
   11: 00000000000000000000000000000000:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 0 0 0 19 2 0 0

@@kubexm asked
place\t/var/lib/etcd\t/data/my etcd\txfs
unit\tdocker.service\tActiveState=active
unit\tdocker.service\tUnitFileState=enabled
unit\tdocker.service\tFragmentPath=/lib/systemd/system/docker.service
unit\tdocker.service\tActiveEnterTimestampMonotonic=600500000
program\tkubelet\tKubernetes v1.36.2
pod\t/etc/kubernetes/manifests/etcd.yaml\tregistry.k8s.io/etcd:3.6.5-0
since\t/etc/kubexm/cluster\t1764480000
unit\tcrio.service\tActiveState=inactive
unit\tcrio.service\tUnitFileState=enabled
socket\t/run/crio/crio.sock
trace\t/sys/class/net/cni0
absent\t/sys/fs/bpf
";

    #[test]
    fn what_a_host_tells_is_understood() {
        insta::assert_debug_snapshot!(parse(TOLD));
        assert_eq!(parse(""), Observed::default());
    }

    /// The script itself, by the shell of this machine.
    #[test]
    fn a_real_shell_tells_where_things_are() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path).to_str().unwrap().to_owned();
        for directory in ["disk/lost+found", "cni", "empty"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        std::fs::write(at("cni/87 podman.conflist"), "{}").unwrap();
        std::os::unix::fs::symlink("disk", at("link")).unwrap();
        let asked = [
            ("place", at("link/new/etcd")),
            ("trace", at("link")),
            ("trace", at("cni/*.conflist")),
            ("trace", at("empty")),
            ("trace", at("none*")),
            ("directory", at("empty")),
            ("directory", at("cni/87 podman.conflist")),
            ("directory", at("none")),
        ];
        let named = asked.iter().flat_map(|(kind, name)| [*kind, name.as_str()]);
        let output = std::process::Command::new("sh")
            .args(["-c", SCRIPT, "observe"].into_iter().chain(named))
            .output()
            .unwrap();
        assert!(output.status.success());
        let seen = parse(&String::from_utf8(output.stdout).unwrap());
        let real = dir.path().canonicalize().unwrap();
        let place = &seen.places[&at("link/new/etcd")];
        assert_eq!(place.path, real.join("disk/new/etcd").to_str().unwrap());
        assert!(!place.kind.is_empty());
        assert_eq!(seen.traces, [at("cni/87 podman.conflist")]);
        assert_eq!(seen.absent, [at("cni/87 podman.conflist"), at("none")]);
    }
}
