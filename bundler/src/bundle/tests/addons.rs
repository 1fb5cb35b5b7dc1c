//! Addons in a bundle: what their objects are made into, and which images come with them.

use std::io::Read as _;

use artifact::{AddonObjects, HookOn};
use cluster::Version;

use super::*;

mod programs;

/// A helm that knows one thing: to print a chart's templates, with a value and the release put in.
const HELM: &str = r#"#!/bin/sh
set -eu
test "$1" = template
name=$2 chart=$3
shift 3
upgrade=false kube= values=
while [ $# -gt 0 ]; do
    case $1 in
    --is-upgrade) upgrade=true ;;
    --kube-version) kube=$2; shift ;;
    --values) values=$2; shift ;;
    esac
    shift
done
text=$(tar -xzOf "$chart" chart/all.yaml)
case $text in *BROKEN*) echo "Error: values don't meet the schema" >&2; exit 1 ;; esac
replicas=$(sed -n 's/.*"replicas":\([0-9]*\).*/\1/p' "$values")
printf '%s\n' "$text" | sed "s/{name}/$name/; s/{kube}/$kube/; s/{replicas}/${replicas:-1}/; s/{random}/$(date +%N)/"
if $upgrade; then tar -xzOf "$chart" chart/upgrade.yaml 2>/dev/null || true; fi
"#;

const CHART: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: app-system, labels: {team: a}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{name}", annotations: {kube: "{kube}"}}
spec:
  replicas: {replicas}
  template:
    spec:
      containers:
        - {name: main, image: "ghcr.io/example/main:1", imagePullPolicy: Always, args: ["--helper=ghcr.io/example/helper:1"]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: "{name}"}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: first}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: "{name}"}
webhooks: [{name: a.example.com, clientConfig: {caBundle: Cg==}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Widget}, versions: [{name: v1}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: leave, annotations: {helm.sh/hook: "pre-delete"}}
spec: {template: {spec: {containers: [{name: c, image: "ghcr.io/example/leave:1"}]}}}
"#;

const UPGRADE: &str = r#"
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "post-upgrade"}}
spec: {template: {spec: {containers: [{name: c, image: "ghcr.io/example/migrate:1"}]}}}
"#;

const IMAGES: &[&str] = &[
    "ghcr.io/example/helper:1",
    "ghcr.io/example/leave:1",
    "ghcr.io/example/main:1",
    "ghcr.io/example/migrate:1",
];

fn spec(addons: &str) -> String {
    format!(
        r#"{{"arch":["amd64"],"tools":[],"network":{{"plugin":"bridge"}},
        "kubernetes":{{"version":"v1.34.2"}},"addons":[{addons}]}}"#
    )
}

const APP: &str = r#"{"name":"app","namespace":"app-system","chart":{"repo":"https://charts.example.com","version":"1.2.0"},
    "values":{"replicas":3}}"#;

impl Site {
    async fn with_addons(addons: &str) -> Self {
        let site = Self::new(&spec(addons)).await;
        let helm = archive(&[("linux-amd64/helm", 0o755, HELM.as_bytes())]);
        site.serve_helm(&helm);
        for image in IMAGES {
            site.upstream.publish_image(image, &Arch::ALL);
        }
        site
    }

    fn serve_helm(&self, archive: &[u8]) {
        let here: Arch = std::env::consts::ARCH.parse().unwrap();
        let file = crate::resolve::file_here(
            &self.cluster,
            &catalogue::Catalogue::builtin(),
            "helm",
            here,
        );
        let file = file.unwrap().file;
        let at = file.url.replacen("https:/", "", 1);
        self.upstream.put(&at, archive);
        let digest = Sha256::of(archive).to_string();
        let catalogue::Checksum::Beside { url } = &file.checksum else {
            panic!("helm has its digest beside it");
        };
        self.upstream
            .put(&url.replacen("https:/", "", 1), digest.as_bytes());
    }

    fn serve_chart(&self, version: &str, all: &str) {
        let chart = archive(&[
            ("chart/all.yaml", 0o644, all.as_bytes()),
            ("chart/upgrade.yaml", 0o644, UPGRADE.as_bytes()),
        ]);
        let digest = Sha256::of(&chart);
        let index = format!(
            "apiVersion: v1\nentries:\n  app:\n    - {{version: {version}, urls: [app-{version}.tgz], digest: {digest}}}\n"
        );
        self.upstream
            .put("/charts.example.com/index.yaml", index.as_bytes());
        self.upstream
            .put(&format!("/charts.example.com/app-{version}.tgz"), &chart);
    }

    fn made(&self, contents: &Contents, name: &str) -> AddonObjects {
        let release = &contents.releases[0];
        let component = artifact::addon_component(name);
        let file = contents.files_in(release, &component).next().unwrap();
        let tree = WorkDir::new(self.path("work")).tree("example");
        AddonObjects::read(&std::fs::read(tree.path(&file.path)).unwrap()).unwrap()
    }
}

fn titles(objects: &[serde_json::Value]) -> Vec<String> {
    objects.iter().map(crate::addons::title).collect()
}

#[tokio::test]
async fn a_chart_is_rendered_and_all_of_its_images_come_along() {
    let site = Site::with_addons(APP).await;
    site.serve_chart("1.2.0", CHART);
    let report = site.bundle("work").await.unwrap();
    let contents = open(&report);
    let made = site.made(&contents, "app");
    assert_eq!(made.namespace, "app-system");
    assert_eq!(made.namespace_labels["team"], "a");
    assert_eq!(
        titles(&made.definitions),
        ["CustomResourceDefinition widgets.example.com"]
    );
    assert_eq!(
        titles(&made.objects),
        [
            "ServiceAccount app-system/app",
            "Deployment app-system/app",
            "ValidatingWebhookConfiguration app"
        ]
    );
    let client = &made.objects[2]["webhooks"][0]["clientConfig"];
    assert!(
        client.get("caBundle").is_none(),
        "somebody fills it in: {client}"
    );
    assert_eq!(titles(&made.custom), ["Widget app-system/first"]);
    let deployment = &made.objects[1];
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(deployment["metadata"]["annotations"]["kube"], "v1.34.2");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["imagePullPolicy"], "IfNotPresent",
        "there is no registry"
    );
    assert_eq!(made.leaving.len(), 1);
    assert_eq!((made.after.len(), made.after[0].on), (1, HookOn::Upgrade));
    for image in IMAGES {
        assert!(contents.has_image(image, Arch::Amd64), "{image}");
    }
    let chart = &contents.charts[0];
    assert_eq!(
        (chart.name.as_str(), chart.version.as_str()),
        ("app", "1.2.0")
    );
    let mut archive = Vec::new();
    let tree = WorkDir::new(site.path("work")).tree("example");
    let mut file = std::fs::File::open(tree.path(&chart.path)).unwrap();
    file.read_to_end(&mut archive).unwrap();
    assert_eq!(made.origins.values().next(), Some(&Sha256::of(&archive)));
    assert!(
        made.origins
            .contains_key("https://charts.example.com/app-1.2.0.tgz")
    );
}

#[tokio::test]
async fn what_is_bundled_twice_is_the_same_and_pinned() {
    let site = Site::with_addons(APP).await;
    site.serve_chart("1.2.0", CHART);
    let first = site.bundle("work").await.unwrap();
    let again = site.bundle("again").await.unwrap();
    assert_eq!(first.digest, again.digest);
    // The same version with other content is not what was pinned.
    site.serve_chart("1.2.0", &CHART.replace("team: a", "team: b"));
    let error = site.bundle("work").await.unwrap_err();
    assert!(error.is_unverified(), "{error}");
}

#[tokio::test]
async fn an_entry_that_has_changed_is_not_what_the_bundle_holds() {
    let site = Site::with_addons(APP).await;
    site.serve_chart("1.2.0", CHART);
    let contents = open(&site.bundle("work").await.unwrap());
    let missing = |cluster: &Cluster| -> Vec<String> {
        let release = contents
            .release(&Version::new(1, 34, 2), "example")
            .unwrap();
        let needs = artifact::needs(cluster).into_iter();
        needs
            .flat_map(|need| need.missing_from(&contents, release, Arch::Amd64))
            .map(|missing| missing.to_string())
            .collect()
    };
    assert_eq!(missing(&site.cluster), Vec::<String>::new());
    let mut changed = site.cluster.clone();
    changed.spec.addons[0]
        .values
        .insert("replicas".into(), 4.into());
    insta::assert_snapshot!(missing(&changed).join("\n"), @"addon app as the config has it now (the bundle was made when its entry was another) for amd64, wanted by addons");
    changed.spec.addons[0].name = "other".into();
    insta::assert_snapshot!(missing(&changed).join("\n"), @"addon other for amd64, wanted by addons");
}

#[tokio::test]
async fn an_image_that_upstream_lacks_is_told_with_addon_and_object() {
    let site = Site::with_addons(APP).await;
    site.serve_chart("1.2.0", CHART);
    site.upstream
        .remove("/v2/ghcr.io/example/helper/manifests/1");
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn a_chart_that_rolls_dice_is_refused() {
    let site = Site::with_addons(APP).await;
    let secret = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: \"{random}\"}\n";
    site.serve_chart("1.2.0", &format!("{CHART}{secret}"));
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn what_cannot_be_rendered_or_found_is_told() {
    let site = Site::with_addons(APP).await;
    site.serve_chart("1.2.0", "BROKEN");
    insta::assert_snapshot!("schema", site.fails().await);
    site.serve_chart("1.3.0", CHART);
    insta::assert_snapshot!("version", site.fails().await);
    site.serve_chart("1.2.0", "kind: ConfigMap\nmetadata: {name: a}\n");
    insta::assert_snapshot!("object", site.fails().await);
    let site = Site::with_addons(r#"{"name":"app","manifests":["nowhere"]}"#).await;
    insta::assert_snapshot!("path", site.fails().await);
}

#[tokio::test]
async fn manifests_come_from_files_folders_and_addresses() {
    let site = Site::with_addons(
        r#"{"name":"app","manifests":["one.yaml","more","https://example.com/app.yaml"],"images":["ghcr.io/example/helper:1"]}"#,
    )
    .await;
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: ghcr.io/example/main:1}}]}}\n"
        )
    };
    std::fs::write(site.path("one.yaml"), pod("one")).unwrap();
    std::fs::create_dir(site.path("more")).unwrap();
    std::fs::write(site.path("more/b.yml"), pod("two")).unwrap();
    std::fs::write(site.path("more/README"), "not this").unwrap();
    site.upstream
        .put("/example.com/app.yaml", pod("three").as_bytes());
    let contents = open(&site.bundle("work").await.unwrap());
    let made = site.made(&contents, "app");
    assert_eq!(
        titles(&made.objects),
        ["Pod default/one", "Pod default/two", "Pod default/three"]
    );
    let origins: Vec<&String> = made.origins.keys().collect();
    assert_eq!(
        origins,
        ["https://example.com/app.yaml", "more/b.yml", "one.yaml"]
    );
    assert!(contents.has_image("ghcr.io/example/helper:1", Arch::Amd64));
}

#[tokio::test]
async fn a_chart_may_be_in_a_registry() {
    let entry = r#"{"name":"app","chart":{"oci":"oci://registry.example.com/charts/app","version":"1.2.0"}}"#;
    let site = Site::with_addons(entry).await;
    let chart = archive(&[("chart/all.yaml", 0o644, CHART.as_bytes())]);
    site.upstream
        .publish_chart("registry.example.com/charts/app", "1.2.0", &chart);
    let contents = open(&site.bundle("work").await.unwrap());
    let made = site.made(&contents, "app");
    let origin = made.origins.iter().next().unwrap();
    assert_eq!(
        origin,
        (
            &"oci://registry.example.com/charts/app:1.2.0".to_owned(),
            &Sha256::of(&chart)
        )
    );
    // An image is none.
    site.upstream
        .publish_image("registry.example.com/charts/app:1.2.0", &Arch::ALL);
    let request = Request {
        lock: site.path("other.lock"),
        ..site.request("work")
    };
    let error = run(request, &Events::nowhere()).await.unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    addon app: registry.example.com/charts/app:1.2.0 is an image and no chart
    hint: chart.oci names a chart that was pushed by helm
    ");
}

#[tokio::test]
async fn one_of_kubexms_own_has_the_version_and_the_values_that_go_with_the_config() {
    let site = Site::new(
        r#"{"arch":["amd64"],"tools":[],"network":{"plugin":"bridge"},
        "kubernetes":{"version":"v1.34.2"},"storage":{"openebs":{"basePath":"/data/volumes"}}}"#,
    )
    .await;
    site.serve_helm(&archive(&[("linux-amd64/helm", 0o755, HELM.as_bytes())]));
    site.upstream
        .publish_image("docker.io/openebs/linux-utils:4.0.0", &Arch::ALL);
    let chart = archive(&[(
        "chart/all.yaml",
        0o644,
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    )]);
    let index = "entries:\n  localpv-provisioner: [{version: v4.0.0, urls: [https://example.com/chart.tgz]}]\n";
    let repo = "/openebs.github.io/dynamic-localpv-provisioner/index.yaml";
    site.upstream.put(repo, index.as_bytes());
    site.upstream.put("/example.com/chart.tgz", &chart);
    let contents = open(&site.bundle("work").await.unwrap());
    let made = site.made(&contents, "openebs-localpv");
    assert_eq!(made.namespace, "openebs");
    let level = "pod-security.kubernetes.io/enforce";
    assert_eq!(made.namespace_labels[level], "privileged");
    assert!(made.version.starts_with("4.0.0-k1.34-"), "{}", made.version);
    assert!(contents.has_image("docker.io/openebs/linux-utils:4.0.0", Arch::Amd64));
    // Another place is another bundle.
    let mut other = site.cluster.clone();
    other.spec.storage.openebs = Some(cluster::OpenEbs {
        base_path: "/elsewhere".into(),
    });
    let [addon] = other.addons().try_into().unwrap();
    assert!(
        !made
            .version
            .ends_with(&artifact::entry_digest(&other, &addon))
    );
}
