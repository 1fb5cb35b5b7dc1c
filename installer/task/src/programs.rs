use std::collections::BTreeMap;
use std::sync::Arc;

use artifact::ProgramFile;
use cluster::Arch;
use engine::{Step, Task};
use step::{InstallPrograms, LocalProgram, PackedProgram, UnpackPrograms};

use crate::{OPERATOR, Site};

/// Takes every program that some host needs out of its archive, on the operator's machine.
#[must_use]
pub fn unpack(site: &Site) -> Task {
    let arches = site.arches();
    let components = site.components().into_iter();
    let steps = components.flat_map(|component| unpack_component(site, component, &arches));
    Task::new("unpack").on(OPERATOR, steps.collect())
}

/// The same of one component, for these architectures.
pub(crate) fn unpack_component(
    site: &Site,
    component: &str,
    arches: &[Arch],
) -> Vec<Arc<dyn Step>> {
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    for arch in arches {
        for file in site.contents.files_of(&site.release, component, *arch) {
            let packed: Vec<PackedProgram> = file
                .programs
                .iter()
                .filter_map(|program| {
                    Some(PackedProgram {
                        member: program.member.clone()?,
                        to: site.tree.program(ProgramFile { program, file }),
                        size: program.size,
                        sha256: program.sha256,
                    })
                })
                .collect();
            if !packed.is_empty() {
                steps.push(Arc::new(UnpackPrograms {
                    what: file.path.file_name().unwrap_or(component).to_owned(),
                    archive: site.tree.path(&file.path),
                    programs: packed,
                }));
            }
        }
    }
    steps
}

/// The step that puts a component's programs into a directory of a host, whatever its architecture.
pub(crate) fn install(site: &Site, component: &str, directory: &str) -> Arc<dyn Step> {
    let by_machine: BTreeMap<String, Vec<LocalProgram>> = site
        .arches()
        .into_iter()
        .map(|arch| {
            let programs = site
                .contents
                .programs_of(&site.release, component, arch)
                .map(|of| LocalProgram {
                    name: of.program.name.clone(),
                    local: site.tree.program(of),
                    size: of.program.size,
                    sha256: of.program.sha256,
                });
            (arch.uname().to_owned(), programs.collect())
        })
        .collect();
    let version = site.release.version_of(component).unwrap_or_default();
    Arc::new(InstallPrograms {
        what: format!("{component} {version}").trim_end().to_owned(),
        directory: directory.into(),
        by_machine,
    })
}

/// How much a component's programs take on a host.
pub(crate) fn size(site: &Site, component: &str, arch: Arch) -> u64 {
    site.contents
        .programs_of(&site.release, component, arch)
        .map(|of| of.program.size)
        .sum()
}
