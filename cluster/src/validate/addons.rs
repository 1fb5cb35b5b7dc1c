use std::collections::BTreeMap;

use super::Check;
use crate::{Addon, Chart, KeyPath, KnownAddon};

pub(super) fn check(check: &mut Check<'_>) {
    let list = KeyPath::of("spec.addons");
    let mut seen = BTreeMap::new();
    let addons = &check.cluster.spec.addons;
    for (at, addon) in addons.iter().enumerate() {
        let here = list.index(at);
        if let Some(first) = seen.insert(addon.name.as_str(), here.clone()) {
            let line = check.line(&first);
            check.error(
                here.clone(),
                format!("two addons are called {}{line}", addon.name),
                "give one of them another name".to_owned(),
            );
        }
        if addon.brings_its_own() {
            own(check, &here, addon);
        } else {
            known(check, &here, addon);
        }
    }
    if check.cluster.spec.kubernetes.kata.enabled {
        check.error(
            KeyPath::of("spec.kubernetes.kata.enabled"),
            "which nodes have Kata containers stands at each host".to_owned(),
            "set it to false, and write runtimeClasses: [kata] at the hosts that have it"
                .to_owned(),
        );
    }
}

/// One of kubexm's own.
fn known(check: &mut Check<'_>, here: &KeyPath, addon: &Addon) {
    let name = &addon.name;
    // One that is no name at all was refused already.
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(known) = KnownAddon::named(name)
        && [KnownAddon::Cilium, KnownAddon::KubeOvn].contains(&known)
        && check.cluster.spec.network.plugin.addon() != Some(known)
    {
        check.error(
            here.clone(),
            format!("{name} is a network of pods, and spec.network.plugin is another one"),
            format!("set spec.network.plugin: {name}; an entry here only says more of it"),
        );
    }
    if KnownAddon::named(name).is_some() || !name.chars().all(word) || name.is_empty() {
        return;
    }
    let names = KnownAddon::ALL.iter().map(|known| known.name());
    let near = names
        .clone()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let meant = near.map_or_else(String::new, |(_, name)| format!("did you mean {name}? "));
    let all: Vec<&str> = names.collect();
    check.error(
        here.clone(),
        format!("kubexm has no addon {name}"),
        format!(
            "{meant}it has {}; one of yours is {{name: {name}, chart: {{...}}}} or {{name: {name}, manifests: [...]}}",
            all.join(", ")
        ),
    );
}

/// One that is made of what the config names.
fn own(check: &mut Check<'_>, here: &KeyPath, addon: &Addon) {
    let sources = [
        addon.chart.is_some(),
        !addon.manifests.is_empty(),
        addon.kustomize.is_some(),
    ];
    if sources.into_iter().filter(|there| *there).count() > 1 {
        check.error(
            here.clone(),
            format!(
                "{} has several of chart, manifests and kustomize",
                addon.name
            ),
            "make an addon of each".to_owned(),
        );
    }
    if let Some(chart) = &addon.chart {
        of_chart(check, &here.key("chart"), chart);
    } else {
        let values = [
            (!addon.values.is_empty(), "values"),
            (addon.values_file.is_some(), "valuesFile"),
            (!addon.api_versions.is_empty(), "apiVersions"),
        ];
        for (_, key) in values.into_iter().filter(|(there, _)| *there) {
            check.error(
                here.key(key),
                format!("{} has no chart, and so no {key}", addon.name),
                "remove it, or change the manifests".to_owned(),
            );
        }
    }
    if addon.version.is_some() {
        check.error(
            here.key("version"),
            format!("{} is not one of kubexm's own addons", addon.name),
            "the version of a chart is chart.version".to_owned(),
        );
    }
}

fn of_chart(check: &mut Check<'_>, here: &KeyPath, chart: &Chart) {
    let sources = [
        chart.repo.is_some(),
        chart.oci.is_some(),
        chart.path.is_some(),
    ];
    match sources.into_iter().filter(|there| *there).count() {
        0 => check.error(
            here.clone(),
            "nothing says where the chart is".to_owned(),
            "add one of repo, oci and path".to_owned(),
        ),
        1 => {}
        _ => check.error(
            here.clone(),
            "the chart is in several places".to_owned(),
            "leave one of repo, oci and path".to_owned(),
        ),
    }
    if chart.path.is_none()
        && chart.version.is_none()
        && (chart.repo.is_some() || chart.oci.is_some())
    {
        check.error(
            here.clone(),
            "the chart has no version".to_owned(),
            "name one: what is newest today is another chart tomorrow".to_owned(),
        );
    }
}
