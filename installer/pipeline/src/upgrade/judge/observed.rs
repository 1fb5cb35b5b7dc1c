//! What of a living cluster is in the way of its upgrade, or worth to be known before. Each is a function of what was seen.

use std::collections::BTreeSet;

use artifact::{Release, split_tag};
use cluster::{EtcdEntry, ImageSet, Version, etcd_in};
use module::{
    CertificateSeen, EtcdFirst, LivingNode, MemberSeen, MemberState, OffsetDateTime, Stand,
    WebhookSeen,
};

use super::super::Told;
use super::version;

/// What was found of one subject.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// Nothing begins before it is mended.
    pub blocks: Vec<String>,
    /// It is told, and keeps nothing from going on.
    pub remarks: Vec<String>,
}

/// So many days before its end a certificate is named.
const SOON: i64 = 30;

type Hops = [(Release, Stand)];

/// The members, and the versions that they go through; and ahead of which hop they become the last of their minor.
pub(super) fn etcd(
    members: &Told<MemberSeen>,
    hops: &Hops,
) -> (Noted, Option<(Version, EtcdFirst)>) {
    let mut noted = Noted::default();
    let mut oldest: Option<(Version, &str)> = None;
    let healthy = members.iter().filter(|(_, seen)| {
        let seen = seen.as_ref();
        seen.is_ok_and(|member| member.state == MemberState::Healthy)
    });
    let most = healthy.count() * 2 > members.len();
    for (host, seen) in members {
        let member = match seen {
            Ok(member) => member,
            Err(why) => {
                noted
                    .blocks
                    .push(format!("the etcd of {host} does not tell how it is: {why}"));
                continue;
            }
        };
        if member.state != MemberState::Healthy {
            let why = member.trouble.as_deref().unwrap_or("it does not serve");
            let told =
                format!("the etcd of {host} is not well: {why}; kubexm etcd status tells more");
            // A run that was cut short may have left one so, and is taken up.
            if member.state == MemberState::Damaged || !most {
                noted.blocks.push(told);
            } else {
                noted.remarks.push(told);
            }
        }
        if !member.alarms.is_empty() {
            noted.blocks.push(format!(
                "the etcd of {host} has raised an alarm: kubexm etcd alarms tells which, and the cure"
            ));
        }
        let Some(told) = &member.told else { continue };
        if told.learner {
            noted.blocks.push(format!(
                "the etcd of {host} is still a learner: kubexm install promotes it"
            ));
        }
        let Ok(version) = version(&told.version) else {
            continue;
        };
        if oldest.as_ref().is_none_or(|(least, _)| version < *least) {
            oldest = Some((version, host));
        }
    }
    let first = oldest.and_then(|(version, host)| path(version, host, hops, &mut noted));
    let first = first.map(|(version, image)| {
        let order = leader_last(members);
        (version, EtcdFirst { image, order })
    });
    (noted, first)
}

fn leader_last(members: &Told<MemberSeen>) -> Vec<String> {
    let leads = |seen: &Result<MemberSeen, String>| {
        let told = seen.as_ref().ok().and_then(|member| member.told.as_ref());
        told.is_some_and(|told| told.leader)
    };
    let (leaders, others): (Vec<_>, Vec<_>) = members.iter().partition(|(_, seen)| leads(seen));
    let names = others.into_iter().chain(leaders);
    names.map(|(host, _)| host.clone()).collect()
}

/// What is wrong with the way, and the image that members get ahead of a hop.
fn path(from: Version, host: &str, hops: &Hops, noted: &mut Noted) -> Option<(Version, String)> {
    let mut at = from;
    let mut first = None;
    for (release, _) in hops {
        let Some(next) = etcd_of(release) else {
            continue;
        };
        let kubernetes = &release.kubernetes;
        let (major, minor) = at.minor();
        if next.minor() < at.minor() {
            noted.blocks.push(format!(
                "etcd would go back from {at} ({host}) to {next} with {kubernetes}: its store does not; leave etcd.version out of \
                 the config, or set it to {at}"
            ));
        } else if next.minor() > (major, minor + 1) {
            noted.blocks.push(format!(
                "etcd would go from {at} ({host}) to {next} with {kubernetes}, and leave out a minor: make the bundle with \
                 --upgrade-from, and leave etcd.version out of the config"
            ));
        } else if let Some(entry) = EtcdEntry::of(&at, &next) {
            first = enter(entry, &at, host, &next, release, noted).or(first);
        }
        at = next.max(at);
    }
    first
}

/// The way into a minor that does not take in all members of the one before.
fn enter(
    entry: &EtcdEntry,
    at: &Version,
    host: &str,
    next: &Version,
    release: &Release,
    noted: &mut Noted,
) -> Option<(Version, String)> {
    let kubernetes = &release.kubernetes;
    let EtcdEntry {
        least,
        sound,
        advised,
        ..
    } = entry;
    let previous = release.images_of(ImageSet::EtcdPrevious).first();
    if let Some(image) = previous
        && at < sound
    {
        noted.remarks.push(format!(
            "etcd is {at} ({host}) when {kubernetes} brings {next}, and members older than {sound} may bring back members that were \
             removed: ahead of that hop's masters each becomes {image}, one at a time"
        ));
        return Some((kubernetes.clone(), image.clone()));
    }
    let stacked = release.version_of("etcd").is_none();
    if at < least {
        let way = if stacked {
            "kubexm bundle --upgrade-from makes a bundle with an etcd that they become first"
                .to_owned()
        } else {
            format!(
                "Bring it to {advised} or later first: etcd.version of the present config, and kubexm install"
            )
        };
        noted.blocks.push(format!(
            "etcd {at} ({host}) cannot become {next}, which {kubernetes} brings: members older than {least} lose the promotion of \
             learners. {way}"
        ));
    } else if at < advised {
        noted.remarks.push(format!(
            "etcd is {at} when {kubernetes} brings {next}, and etcd's own guide asks for {advised} or later first: with an older one \
             members that were removed long ago may come back. kubexm etcd status names all members"
        ));
    }
    None
}

/// The etcd that a release brings, as a service or as an image.
fn etcd_of(release: &Release) -> Option<Version> {
    if let Some(version) = release.version_of("etcd") {
        return super::version(version).ok();
    }
    let mut images = release.images_of(ImageSet::Etcd).iter();
    images.find_map(|image| etcd_in(split_tag(image).1?))
}

/// What the snapshots of these hops will take.
pub(super) fn snapshots(members: &Told<MemberSeen>, hops: &Hops) -> u64 {
    let told = members.iter().filter_map(|(_, seen)| seen.as_ref().ok());
    let told = told.filter_map(|member| member.told.as_ref());
    let largest = told.map(|told| told.db_bytes).max().unwrap_or_default();
    let ahead = hops.iter().filter(|(_, stand)| *stand == Stand::Ahead);
    largest.saturating_mul(ahead.count() as u64)
}

/// Certificates that have ended, or do so soon. A hop renews those of the components that kubeadm changes, and no others.
pub(super) fn certificates(hosts: &Told<Vec<CertificateSeen>>, now: OffsetDateTime) -> Noted {
    let mut noted = Noted::default();
    for (host, seen) in hosts {
        for certificate in seen.iter().flatten() {
            let (path, days) = (&certificate.path, certificate.days_left(now));
            let way = if certificate.is_authority {
                "all that it has signed ends with it"
            } else {
                "kubexm certs renew makes it anew"
            };
            if days < 0 {
                noted.blocks.push(format!(
                    "{path} of {host} has ended {} days ago: {way}",
                    -days
                ));
            } else if days < SOON {
                noted
                    .remarks
                    .push(format!("{path} of {host} ends in {days} days: {way}"));
            }
        }
    }
    noted
}

/// Webhooks that keep pods from being made while a node is emptied. Where a run that was cut short has left a node cordoned, one may
/// be without a server because of that, and it is mended by going on.
pub(super) fn webhooks(webhooks: &[WebhookSeen], nodes: &[LivingNode]) -> Noted {
    let cordoned = nodes.iter().any(|node| node.cordoned_by_us);
    let mut noted = Noted::default();
    for webhook in webhooks {
        let (name, configuration) = (&webhook.name, &webhook.configuration);
        if let Some(why) = &webhook.mute {
            let told = format!(
                "no new pod is made: webhook {name} must be asked and does not answer, {why}. Bring its server up, or remove it: \
                 kubectl delete {configuration}"
            );
            if cordoned {
                noted.remarks.push(told);
            } else {
                noted.blocks.push(told);
            }
        } else if let [node] = webhook.on.as_slice() {
            let also = if webhook.reaches_system {
                ", not even one of kube-system"
            } else {
                ""
            };
            noted.remarks.push(format!(
                "webhook {name} ({configuration}) is asked about every new pod, and all of its servers are on {node}: while that \
                 node is emptied no pod is made{also}. Give it a server on another node first"
            ));
        }
    }
    noted
}

/// Nodes whose containerd changes its major.
pub(super) fn runtimes(nodes: &[LivingNode], hops: &Hops) -> Noted {
    let major = |text: &str| {
        version(text.strip_prefix('v').unwrap_or(text))
            .ok()
            .map(|v| v.semver().major)
    };
    let next = hops.iter().find_map(|(release, _)| {
        let version = release.version_of("containerd")?;
        (major(version)? >= 2).then_some((version, &release.kubernetes))
    });
    let old = nodes.iter().filter(|node| {
        let version = node.runtime.strip_prefix("containerd://");
        version.and_then(major) == Some(1)
    });
    let old: BTreeSet<&str> = old.map(|node| node.name.as_str()).collect();
    let mut noted = Noted::default();
    if let Some((version, kubernetes)) = next
        && !old.is_empty()
    {
        let old: Vec<&str> = old.into_iter().collect();
        noted.remarks.push(format!(
            "containerd 1 of {} becomes {version} with {kubernetes}, which does not take over its containers: node by node, pods go \
             elsewhere first, and those that no drain takes, of DaemonSets and static ones, end and are made anew",
            old.join(", ")
        ));
    }
    noted
}

#[cfg(test)]
mod tests;
