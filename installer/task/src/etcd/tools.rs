//! etcd's own programs on the operator's machine, out of the bundle: from etcd's archive, or from the image that kubeadm runs.

use std::sync::Arc;

use artifact::{ImageSet, ProgramFile};
use camino::Utf8PathBuf;
use cluster::{Arch, EtcdType};
use engine::Step;
use step::UnpackImagePrograms;

use crate::{Site, programs};

/// What is taken out of an image.
const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];

/// The steps that unpack them for these architectures.
pub(super) fn unpack(site: &Site, arches: &[Arch]) -> Vec<Arc<dyn Step>> {
    match site.cluster.spec.etcd.kind {
        EtcdType::Kubexm => programs::unpack_component(site, "etcd", arches),
        EtcdType::Kubeadm => arches
            .iter()
            .filter_map(|arch| from_image(site, *arch))
            .collect(),
        EtcdType::External => Vec::new(),
    }
}

fn from_image(site: &Site, arch: Arch) -> Option<Arc<dyn Step>> {
    let image = site.first_of(ImageSet::Etcd)?;
    let mut platforms = image.platforms.iter();
    let platform = platforms.find(|platform| platform.arch == arch)?;
    Some(Arc::new(UnpackImagePrograms {
        layout: site.tree.images(),
        reference: image.reference.clone(),
        digest: platform.digest,
        programs: PROGRAMS.to_vec(),
        to: image_programs(site, arch)?,
    }))
}

fn image_programs(site: &Site, arch: Arch) -> Option<Utf8PathBuf> {
    let image = site.first_of(ImageSet::Etcd)?;
    let mut platforms = image.platforms.iter();
    let platform = platforms.find(|platform| platform.arch == arch)?;
    let dir = site.tree.state().join("programs");
    Some(dir.join(format!("etcd-{}", platform.digest)))
}

/// Where such a program lies when it is unpacked; none where the bundle has it not for this architecture.
pub(super) fn program(site: &Site, name: &str, arch: Arch) -> Option<Utf8PathBuf> {
    if site.cluster.spec.etcd.kind == EtcdType::Kubeadm {
        return Some(image_programs(site, arch)?.join(name));
    }
    let mut of = site.contents.programs_of(&site.release, "etcd", arch);
    let of: ProgramFile<'_> = of.find(|of| of.program.name == name)?;
    Some(site.tree.program(of))
}
