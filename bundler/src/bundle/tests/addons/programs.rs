//! What kubectl and helm make of kustomizations and charts; with the real ones where somebody names them.

use super::*;

/// A kubectl that knows one thing.
const KUBECTL: &str = r#"#!/bin/sh
test "$1" = kustomize && sed 's/^namePrefix: \(.*\)/# \1/' "$2/app.yaml"
"#;

impl Site {
    /// A kustomization of a Deployment with a prefix.
    fn serve_kustomization(&self, kubectl: &[u8]) {
        self.upstream.publish("/amd64/kubectl", kubectl);
        let base = self.path("overlay");
        std::fs::create_dir_all(&base).unwrap();
        let write = |name: &str, text: &str| std::fs::write(base.join(name), text).unwrap();
        write(
            "kustomization.yaml",
            "namespace: site\nnamePrefix: site-\nresources: [app.yaml]\n",
        );
        write(
            "app.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec: {template: {spec: {containers: [{name: c, image: \"ghcr.io/example/main:1\"}]}}}\n",
        );
    }
}

const KUSTOMIZED: &str = r#"{"name":"app","namespace":"site","kustomize":"overlay"}"#;

#[tokio::test]
async fn a_kustomization_is_built_where_the_bundle_is_made() {
    let site = Site::with_addons(KUSTOMIZED).await;
    site.serve_kustomization(KUBECTL.as_bytes());
    let contents = open(&site.bundle("work").await.unwrap());
    assert_eq!(
        titles(&site.made(&contents, "app").objects),
        ["Deployment site/app"]
    );
    assert!(contents.has_image("ghcr.io/example/main:1", Arch::Amd64));
}

#[tokio::test]
async fn a_kustomization_that_cannot_be_built_is_told() {
    let site = Site::with_addons(KUSTOMIZED).await;
    site.serve_kustomization(b"#!/bin/sh\necho 'error: no such file' >&2; exit 1\n");
    insta::assert_snapshot!(site.fails().await, @r"
    addon app: kubectl failed: error: no such file
    hint: correct the kustomization; `kubectl kustomize` of its folder says the same
    ");
}

/// With a real kubectl: `KUBEXM_KUBECTL=/path/to/kubectl`.
#[tokio::test]
#[ignore = "wants a real kubectl"]
async fn the_real_kubectl_builds_a_kustomization() {
    let kubectl = std::fs::read(std::env::var("KUBEXM_KUBECTL").unwrap()).unwrap();
    let site = Site::with_addons(KUSTOMIZED).await;
    site.serve_kustomization(&kubectl);
    let contents = open(&site.bundle("work").await.unwrap());
    assert_eq!(
        titles(&site.made(&contents, "app").objects),
        ["Deployment site/site-app"]
    );
    assert!(contents.has_image("ghcr.io/example/main:1", Arch::Amd64));
}

/// With a real helm: `KUBEXM_HELM=/path/to/helm`.
#[tokio::test]
#[ignore = "wants a real helm"]
async fn the_real_helm_renders_a_chart() {
    let helm = std::fs::read(std::env::var("KUBEXM_HELM").unwrap()).unwrap();
    let site =
        Site::with_addons(r#"{"name":"app","chart":{"path":"app"},"values":{"replicas":2}}"#).await;
    site.serve_helm(&archive(&[("linux-amd64/helm", 0o755, &helm)]));
    let chart = site.path("app");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::create_dir_all(chart.join("crds")).unwrap();
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    )
    .unwrap();
    std::fs::write(chart.join("values.yaml"), "replicas: 1\n").unwrap();
    std::fs::write(
        chart.join("crds/widgets.yaml"),
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec: {group: example.com, scope: Namespaced, names: {kind: Widget}, versions: [{name: v1}]}\n",
    )
    .unwrap();
    std::fs::write(
        chart.join("templates/app.yaml"),
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, annotations: {kube: "{{ .Capabilities.KubeVersion }}"}}
spec:
  replicas: {{ .Values.replicas }}
  template: {spec: {containers: [{name: c, image: "ghcr.io/example/main:1"}]}}
{{- if .Release.IsUpgrade }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: post-upgrade}}
spec: {template: {spec: {containers: [{name: c, image: "ghcr.io/example/migrate:1"}]}}}
{{- end }}
"#,
    )
    .unwrap();
    let contents = open(&site.bundle("work").await.unwrap());
    let made = site.made(&contents, "app");
    assert_eq!(
        titles(&made.definitions),
        ["CustomResourceDefinition widgets.example.com"]
    );
    assert_eq!(titles(&made.objects), ["Deployment default/app"]);
    assert_eq!(made.objects[0]["spec"]["replicas"], 2);
    assert_eq!(
        made.objects[0]["metadata"]["annotations"]["kube"],
        "v1.34.2"
    );
    assert_eq!(made.after[0].on, HookOn::Upgrade);
    assert!(contents.has_image("ghcr.io/example/migrate:1", Arch::Amd64));
}

/// With a real helm and the chart of cilium 1.20.0: `KUBEXM_HELM=/path/to/helm KUBEXM_CILIUM=/path/to/cilium-1.20.0.tgz`.
#[tokio::test]
#[ignore = "wants a real helm and cilium's chart"]
async fn the_real_helm_renders_cilium_with_what_the_config_says_of_networks() {
    let file = |name: &str| std::fs::read(std::env::var(name).unwrap()).unwrap();
    // Images by their tags: those of digests are nowhere here.
    let by_tag = r#"{"useDigest":false}"#;
    let site = Site::new(&format!(
        r#"{{"arch":["amd64"],"tools":[],"kubernetes":{{"version":"v1.34.2"}},
        "network":{{"plugin":"cilium","kubePodsCIDR":"10.244.0.0/16,fd01::/64","kubeServiceCIDR":"10.96.0.0/16,fd85::/112"}},
        "addons":[{{"name":"cilium","values":{{"image":{by_tag},"operator":{{"image":{by_tag}}},"envoy":{{"image":{by_tag}}}}}}}]}}"#
    ))
    .await;
    site.serve_helm(&archive(&[(
        "linux-amd64/helm",
        0o755,
        &file("KUBEXM_HELM"),
    )]));
    let chart = file("KUBEXM_CILIUM");
    let index = "entries:\n  cilium: [{version: 1.20.0, urls: [cilium-1.20.0.tgz]}]\n";
    site.upstream
        .put("/helm.cilium.io/index.yaml", index.as_bytes());
    site.upstream
        .put("/helm.cilium.io/cilium-1.20.0.tgz", &chart);
    let images = [
        "quay.io/cilium/cilium:v1.20.0",
        "quay.io/cilium/operator-generic:v1.20.0",
        "quay.io/cilium/cilium-envoy:v1.37.5-1782911245-7cffc778c923f68a77954a53b1a98d6b5353f004",
    ];
    for image in images {
        site.upstream.publish_image(image, &Arch::ALL);
    }
    let contents = open(&site.bundle("work").await.unwrap());
    let made = site.made(&contents, "cilium");
    let of = |kind: &str, name: &str| {
        let mut objects = made.objects.iter();
        objects
            .find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
            .unwrap()
    };
    let config = &of("ConfigMap", "cilium-config")["data"];
    for (key, value) in [
        ("ipam", "kubernetes"),
        ("enable-ipv4", "true"),
        ("enable-ipv6", "true"),
        ("kube-proxy-replacement", "false"),
        ("enable-hubble", "false"),
    ] {
        assert_eq!(config[key], value, "{key}: {config:#}");
    }
    assert_eq!(of("Deployment", "cilium-operator")["spec"]["replicas"], 2);
    assert_eq!(
        of("DaemonSet", "cilium")["metadata"]["namespace"],
        "kube-system"
    );
}
