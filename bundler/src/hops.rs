//! The releases of a bundle: one, or all that an upgrade goes through.

use std::collections::{BTreeMap, BTreeSet};

use artifact::split_tag;
use catalogue::Catalogue;
use cluster::{Arch, Cluster, EtcdEntry, EtcdType, ImageSet, Version, etcd_in};

use crate::addons::MadeAddon;
use crate::resolve::{ResolveFailure, Wanted, WantedFile, WantedImage, resolve};

/// A release: the config as it would be with this version of Kubernetes, and what it asks for. What the config names by
/// itself is the same in all of them.
#[derive(Clone, Debug)]
pub struct Hop {
    pub cluster: Cluster,
    pub wanted: Wanted,
    /// What its addons have become, once their charts and manifests are there.
    pub addons: Vec<MadeAddon>,
}

impl Hop {
    pub fn version(&self) -> &Version {
        &self.cluster.spec.kubernetes.version
    }

    /// Has it hold these addons, and ask for their images.
    pub fn take_addons(&mut self, made: Vec<MadeAddon>) {
        for addon in &made {
            for (image, objects) in &addon.images {
                let by = addon.wanting(objects);
                self.wanted.want_image(image, &by, ImageSet::Addons);
            }
        }
        self.addons = made;
    }

    /// What members are that kubeadm runs. Services have programs of their own, which are late enough.
    fn etcd(&self) -> Option<Version> {
        if self.cluster.spec.etcd.kind != EtcdType::Kubeadm {
            return None;
        }
        let mut images = self.wanted.images.iter();
        let image = images.find(|image| image.sets.contains(&ImageSet::Etcd))?;
        etcd_in(split_tag(&image.reference).1?)
    }

    /// Members that are too old for this release become the last of their minor first.
    fn take_previous_etcd(&mut self, catalogue: &Catalogue) -> Result<(), ResolveFailure> {
        let by = format!("the upgrade of etcd ahead of {}", self.version());
        self.wanted
            .also(&self.cluster, catalogue, ImageSet::EtcdPrevious, &by)
    }
}

/// The releases from one version, which is not among them, to that of the config. Without one it is the config's alone.
pub fn hops(
    cluster: &Cluster,
    from: Option<&Version>,
    arches: &BTreeSet<Arch>,
    catalogue: &Catalogue,
) -> Result<Vec<Hop>, ResolveFailure> {
    let to = &cluster.spec.kubernetes.version;
    let versions = match from {
        Some(from) => catalogue.hops(from, to)?,
        None => vec![to.clone()],
    };
    let hop = |version: Version| {
        let mut cluster = cluster.clone();
        cluster.spec.kubernetes.version = version;
        let wanted = resolve(&cluster, arches, catalogue)?;
        Ok(Hop {
            cluster,
            wanted,
            addons: Vec::new(),
        })
    };
    let mut before = match from {
        Some(from) => hop(from.clone())?.etcd(),
        None => None,
    };
    let mut hops = versions
        .into_iter()
        .map(hop)
        .collect::<Result<Vec<_>, ResolveFailure>>()?;
    for hop in &mut hops {
        let after = hop.etcd();
        if let (Some(before), Some(after)) = (&before, &after)
            && EtcdEntry::of(before, after).is_some()
        {
            hop.take_previous_etcd(catalogue)?;
        }
        before = after;
    }
    Ok(hops)
}

/// What all of them ask for; what several ask for is there once.
pub fn together(hops: &[Hop]) -> Wanted {
    let mut files = BTreeMap::<&str, WantedFile>::new();
    let mut images = BTreeMap::<&str, WantedImage>::new();
    let mut needs = Vec::new();
    let mut named = BTreeSet::new();
    let mut arches = BTreeSet::new();
    let mut nearest = None;
    for Hop { wanted, .. } in hops {
        for file in &wanted.files {
            let held = files.entry(&file.file.path).or_insert_with(|| file.clone());
            also(&mut held.wanted_by, &file.wanted_by);
        }
        for image in &wanted.images {
            let held = images
                .entry(&image.reference)
                .or_insert_with(|| image.clone());
            also(&mut held.wanted_by, &image.wanted_by);
            held.arches.extend(&image.arches);
            held.sets.extend(image.sets.iter().copied());
        }
        for need in &wanted.needs {
            if !needs.contains(need) {
                needs.push(need.clone());
            }
        }
        named.extend(wanted.named.iter().cloned());
        arches.extend(wanted.arches.iter().copied());
        nearest = nearest.or(wanted.nearest);
    }
    Wanted {
        arches,
        files: files.into_values().collect(),
        images: images.into_values().collect(),
        named,
        needs,
        nearest,
    }
}

fn also(to: &mut Vec<String>, by: &[String]) {
    to.extend(by.iter().cloned());
    to.sort();
    to.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cluster;

    fn of(spec: &str, from: &str) -> Vec<Hop> {
        let from = from.parse().unwrap();
        let catalogue = Catalogue::builtin();
        hops(&cluster(spec), Some(&from), &BTreeSet::new(), &catalogue).unwrap()
    }

    const SPEC: &str = r#"{"arch":["amd64"],"tools":[],"network":{"plugin":"bridge"},
        "kubernetes":{"version":"v1.35.1"},"versions":{"runc":"v1.3.0"}}"#;

    #[test]
    fn each_hop_has_the_versions_of_its_minor_and_those_that_the_config_names() {
        let told: Vec<String> = of(SPEC, "v1.32.4")
            .iter()
            .map(|hop| {
                let files = hop.wanted.files.iter();
                let files = files
                    .map(|file| format!("{} {}", file.file.component, file.file.version.with_v()));
                let images = hop
                    .wanted
                    .images
                    .iter()
                    .map(|image| image.reference.clone());
                let all: Vec<String> = files.chain(images).collect();
                format!("{}\n  {}", hop.version(), all.join("\n  "))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn what_several_hops_ask_for_is_there_once() {
        let hops = of(SPEC, "v1.32.4");
        let all = together(&hops);
        let runc = all
            .files
            .iter()
            .filter(|file| file.file.component == "runc");
        assert_eq!(runc.count(), 1);
        let kubelets = all.files.iter();
        let kubelets = kubelets.filter(|file| file.file.component == "kubelet");
        assert_eq!(kubelets.count(), hops.len());
        assert!(all.files.is_sorted_by(|a, b| a.file.path < b.file.path));
        assert!(all.images.is_sorted_by(|a, b| a.reference < b.reference));
        assert!(
            hops.iter()
                .all(|hop| hop.wanted.needs.iter().all(|need| all.needs.contains(need)))
        );
    }

    /// The hops that bring the etcd of before with them, and who asks for it.
    fn previous(etcd: &str, from: &str) -> Vec<String> {
        let spec = SPEC.replacen(
            r#""kubernetes":{"#,
            &format!(r#""etcd":{etcd},"kubernetes":{{"type":"kubeadm","#),
            1,
        );
        let hops = of(&spec, from);
        let of_hop = |hop: &Hop| {
            let images = hop.wanted.images.clone().into_iter();
            let previous = images.filter(|image| image.sets.contains(&ImageSet::EtcdPrevious));
            previous
                .map(|image| format!("{} {:?}", image.reference, image.wanted_by))
                .collect::<Vec<_>>()
        };
        hops.iter().flat_map(of_hop).collect()
    }

    #[test]
    fn members_of_kubeadm_get_the_last_of_their_minor_where_they_leave_it() {
        let stacked = r#"{"type":"kubeadm"}"#;
        insta::assert_snapshot!(
            previous(stacked, "v1.32.4").join("\n"),
            @r#"quay.io/coreos/etcd:v3.5.33 ["the upgrade of etcd ahead of v1.34.11"]"#
        );
        assert_eq!(previous(stacked, "v1.34.2"), Vec::<String>::new());
        assert_eq!(previous("{}", "v1.32.4"), Vec::<String>::new());
        let named = r#"{"type":"kubeadm","version":"v3.5.24"}"#;
        assert_eq!(previous(named, "v1.32.4"), Vec::<String>::new());
    }

    #[test]
    fn a_way_that_leads_nowhere_is_told_with_what_to_do() {
        let catalogue = Catalogue::builtin();
        let told = |from: &str| {
            let from = from.parse().unwrap();
            let error = hops(&cluster(SPEC), Some(&from), &BTreeSet::new(), &catalogue);
            let error = error.unwrap_err();
            format!("{error}\nhint: {}", error.hint().unwrap())
        };
        insta::assert_snapshot!(told("v1.36.0"), @r"
        Kubernetes v1.36.0 is not older than v1.35.1
        hint: --upgrade-from takes the version that the cluster has now, spec.kubernetes.version the one that it is to have
        ");
        insta::assert_snapshot!(told("v1.20.0"), @r"
        Kubernetes v1.20.0 is older than the oldest release line supported, 1.24
        hint: bring the cluster to a version that this kubexm supports first
        ");
    }
}
