//! What a host's facts do not tell: asked in one script, which names only what is wrong.

use engine::{Cx, StepError};
use host::{Command, Facts};

use super::{Device, Finding, Neighbour, Program, ProgramFeature, Requirements, packages};
use crate::KernelModule;
use crate::network::find_link::ask_links;
use crate::shell::ask;

/// cgroup v2 lists its controllers in one file; v1 in another, with a flag for those that are enabled.
const HAS_CONTROLLER: &str = r#"PATH=$PATH:/usr/sbin:/sbin
has_controller() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then grep -qw "$1" /sys/fs/cgroup/cgroup.controllers
  else grep -q "^$1[[:space:]].*[[:space:]]1\$" /proc/cgroups 2>/dev/null; fi
}
"#;

/// Modules are there, and none of the kernel that runs.
const OTHER_MODULES: &str =
    r#"[ ! -d "/lib/modules/$(uname -r)" ] && [ -n "$(ls /lib/modules 2>/dev/null)" ]"#;

/// What to do for a module that is missing.
fn modules_hint(kernel: &str, is_stale: bool) -> String {
    if is_stale {
        return format!(
            "reboot it: it runs the kernel {kernel}, and /lib/modules has modules of others alone, as after an update"
        );
    }
    format!(
        "install kmod and the modules of its kernel {kernel} (RHEL 10: kernel-modules-extra of just this version, which \
         spec.system.rpms can bring along)"
    )
}

/// What must hold on every run.
pub(super) async fn find_lacks(
    cx: &Cx,
    wanted: &Requirements,
    facts: &Facts,
) -> Result<Vec<Finding>, StepError> {
    let controllers = wanted
        .controllers
        .iter()
        .map(|name| format!("has_controller {name} || echo controller {name}"));
    // A feature that is there may have no module: it is built in.
    let modules = wanted.modules.iter().map(|module| {
        let (test, name) = (module.test(), module.name);
        format!("{test} || modprobe -n -q {name} 2>/dev/null || echo module {name}")
    });
    let stale = [format!("{OTHER_MODULES} && echo kernel stale")];
    let expected = packages::expected(wanted, facts);
    let programs = expected
        .programs
        .iter()
        .map(|Program { name, .. }| format!("command -v {name} >/dev/null || echo program {name}"));
    // A program that is not there at all is told of as such.
    let features = expected.features.iter().map(|feature| {
        let ProgramFeature {
            program,
            name,
            test,
            ..
        } = feature;
        format!("! command -v {program} >/dev/null || {{ {test}; }} || echo feature {name}")
    });
    let zone = wanted.timezone.iter().map(|zone| {
        let file = host::quote(&format!("/usr/share/zoneinfo/{zone}"));
        format!("! [ -d /usr/share/zoneinfo ] || [ -f {file} ] || echo zone")
    });
    let devices = wanted
        .devices
        .iter()
        .map(|Device { path, .. }| format!("[ -c {path} ] || echo device {path}"));
    let tests = controllers
        .chain(modules)
        .chain(stale)
        .chain(programs)
        .chain(devices);
    let tests = tests.chain(features).chain(zone);
    let tests: Vec<String> = tests.collect();
    let script = format!("{HAS_CONTROLLER}{}\ntrue", tests.join("\n"));
    let answer = ask(cx, Command::script(script)).await?.text();
    let lacks =
        |kind: &str, name: &str| answer.lines().any(|line| line == format!("{kind} {name}"));

    let mut findings = Vec::new();
    let controllers: Vec<&str> = wanted
        .controllers
        .iter()
        .copied()
        .filter(|name| lacks("controller", name))
        .collect();
    if !controllers.is_empty() {
        findings.push(Finding::new(
            format!("its cgroups lack {}", controllers.join(", ")),
            "boot a kernel that has them, with cgroup_enable=NAME on its command line where it leaves them off",
        ));
    }
    let is_stale = lacks("kernel", "stale");
    for KernelModule { name, .. } in &wanted.modules {
        if lacks("module", name) {
            findings.push(Finding::new(
                format!("its kernel lacks {name}, and modprobe finds no such module"),
                modules_hint(&facts.kernel, is_stale),
            ));
        }
    }
    let absent = expected.programs.iter();
    let absent: Vec<&Program> = absent
        .filter(|program| lacks("program", program.name))
        .copied()
        .collect();
    findings.extend(packages::judge_programs(wanted, facts, &absent));
    for Device { path, of, fix } in &wanted.devices {
        if lacks("device", path) {
            findings.push(Finding::new(format!("it has no {path}, and {of}"), *fix));
        }
    }
    for feature in expected.features {
        if lacks("feature", feature.name) {
            findings.push(Finding::new(
                format!("its {} has no {}", feature.program, feature.name),
                format!("install {}", feature.package),
            ));
        }
    }
    if let Some(zone) = &wanted.timezone
        && answer.lines().any(|line| line == "zone")
    {
        findings.push(Finding::new(
            format!("it knows no time zone {zone}"),
            "correct `spec.system.timezone`, or install tzdata (older names: tzdata-legacy)",
        ));
    }
    Ok(findings)
}

/// Neighbours that are beyond a router.
pub(super) async fn find_distant(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    if wanted.neighbours.is_empty() {
        return Ok(Vec::new());
    }
    let links = ask_links(cx).await?;
    let own: Vec<_> = links
        .iter()
        .filter(|link| wanted.addresses.contains(&link.address.addr()))
        .collect();
    let near = |address| own.iter().any(|link| link.address.contains(address));
    let distant = wanted
        .neighbours
        .iter()
        .filter(|neighbour| !near(&neighbour.address));
    let networks: Vec<String> = own
        .iter()
        .map(|link| format!("{} on {}", link.address.trunc(), link.interface))
        .collect();
    let networks = networks.join(", ");
    Ok(distant
        .map(|Neighbour { name, address }| {
            Finding::new(
                format!("{name} ({address}) is not in its own network ({networks})"),
                "network.plugin: bridge routes from node to node without a router between; take calico or flannel",
            )
        })
        .collect())
}
