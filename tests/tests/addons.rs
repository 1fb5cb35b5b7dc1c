//! Addons on real Kubernetes in the lab: a chart and a manifest come, change, fail and go. `KUBEXM_LAB_IMAGES` names a folder with a
//! real helm (`files/get.helm.sh/...`), and a file `HELM` with its version; without one the test is left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::kube::{Site, Topology};

/// The last is the registry.
const NODES: usize = 4;

const DEPLOYMENT: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      serviceAccountName: {{ .Release.Name }}
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: docker.io/library/busybox:1.37.0
          command: [sh, -c, {{ .Values.does | quote }}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "of-{{ .Chart.Version }}"}
data: {kubernetes: "{{ .Capabilities.KubeVersion }}"}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: first}
"#;

const HOOKS: &str = r#"
{{- range $hook, $says := dict "post-install" "installed" "post-upgrade" "upgraded" "pre-delete" "leaving" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $says }}
  annotations: {helm.sh/hook: {{ $hook }}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: main, image: "docker.io/library/busybox:1.37.0", command: [echo, {{ $says }}]}
{{- end }}
"#;

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const MANIFEST: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]
      containers:
        - {name: main, image: 'docker.io/library/busybox:1.37.0', command: [sleep, infinity]}
";

/// What lies beside a config.
struct Beside(TempDir);

impl Beside {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("kubexm-addons-")
            .tempdir_in("/var/tmp")?;
        let beside = Self(dir);
        fs::write(beside.path("everywhere.yaml"), MANIFEST)?;
        for folder in ["app/templates", "app/crds"] {
            fs::create_dir_all(beside.path(folder))?;
        }
        fs::write(beside.path("app/crds/widgets.yaml"), DEFINITION)?;
        fs::write(beside.path("app/templates/app.yaml"), DEPLOYMENT)?;
        fs::write(beside.path("app/templates/hooks.yaml"), HOOKS)?;
        fs::write(
            beside.path("app/values.yaml"),
            "replicas: 1\ndoes: sleep infinity\n",
        )?;
        beside.version("1.0.0")?;
        Ok(beside)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Has the chart be of this version.
    fn version(&self, version: &str) -> Result<()> {
        let text = format!("apiVersion: v2\nname: app\nversion: {version}\n");
        Ok(fs::write(self.path("app/Chart.yaml"), text)?)
    }

    fn addons(&self, values: &str) -> String {
        let (app, manifest) = (self.path("app"), self.path("everywhere.yaml"));
        let (app, manifest) = (app.display(), manifest.display());
        format!(
            "  addons:
    - {{name: app, namespace: app-system, chart: {{path: {app}}}, values: {{{values}}}}}
    - {{name: everywhere, namespace: app-system, manifests: [{manifest}]}}
"
        )
    }

    fn manifest_alone(&self) -> String {
        let all = self.addons("");
        let lines = all.split_inclusive('\n');
        lines.filter(|line| !line.contains("name: app,")).collect()
    }
}

fn helm() -> Result<String> {
    let folder = std::env::var_os("KUBEXM_LAB_IMAGES");
    let folder = folder.context("KUBEXM_LAB_IMAGES names no folder with a real helm")?;
    let version = fs::read_to_string(Path::new(&folder).join("HELM"))?;
    Ok(version.trim().to_owned())
}

/// With these addons, and a kubelet that restarts what crashes soon.
fn with(config: &str, helm: &str, addons: &str) -> Result<String> {
    let config = config.replace("  versions:\n", &format!("  versions:\n    helm: {helm}\n"));
    let kubelet = "    kubeletConfiguration:\n";
    let soon = "      crashLoopBackOff: {maxContainerRestartPeriod: 20s}\n";
    let config = config.replace(kubelet, &format!("{kubelet}{soon}"));
    let changed = config.contains(helm) && config.contains(soon);
    ensure!(
        changed,
        "a config has versions and settings of kubelets:\n{config}"
    );
    Ok(format!("{config}{addons}"))
}

const PODS: &str = "get pods --namespace app-system --selector app=everywhere --output name";
const QUIET: &str = "everything is as it should be";

#[test]
#[ignore = "needs the lab, real Kubernetes and a real helm: make e2e"]
fn a_chart_and_a_manifest_come_change_fail_and_go() -> Result<()> {
    let (beside, helm) = (Beside::new()?, helm()?);
    let mut site = Site::of(NODES, Topology::Small, "kubexm", |config| {
        with(config, &helm, &beside.addons(""))
    })?;
    let bare = site.config.replace(&beside.addons(""), "");
    let first = site.install()?;
    println!("install: {:?}", first.took);
    site.is_green()?;
    site.lab.nobody_asked_for_the_world()?;
    let jobs = |site: &Site| site.kubectl("get jobs --namespace app-system --output name");
    ensure!(
        jobs(&site)?.contains("job.batch/installed"),
        "{}",
        jobs(&site)?
    );
    ensure!(!jobs(&site)?.contains("upgraded"), "{}", jobs(&site)?);
    let second = site.install()?;
    ensure!(second.text.contains(QUIET), "{}", second.text);
    println!("again: {:?}", second.took);

    // Another version of the chart, and another value.
    let everywhere = site.kubectl(PODS)?;
    beside.version("1.1.0")?;
    set(&mut site, &bare, &beside.addons("replicas: 2"))?;
    let changed = site.install()?;
    println!("upgrade: {:?}", changed.took);
    let maps = site.kubectl("get configmaps --namespace app-system --output name")?;
    ensure!(
        maps.contains("of-1.1.0") && !maps.contains("of-1.0.0"),
        "{maps}"
    );
    let replicas =
        "get deployment app --namespace app-system --output jsonpath={.status.readyReplicas}";
    ensure!(
        site.kubectl(replicas)?.trim() == "2",
        "{}",
        site.kubectl(replicas)?
    );
    ensure!(jobs(&site)?.contains("upgraded"), "{}", jobs(&site)?);
    ensure!(
        site.kubectl(PODS)? == everywhere,
        "the manifest's pods are others"
    );
    ensure!(
        site.install()?.text.contains(QUIET),
        "the second run does something"
    );

    // One value more.
    set(&mut site, &bare, &beside.addons("replicas: 1"))?;
    site.install()?;
    ensure!(
        site.kubectl(replicas)?.trim() == "1",
        "{}",
        site.kubectl(replicas)?
    );

    fails(&mut site, &beside, &bare)?;
    goes(&mut site, &beside, &bare, &everywhere)
}

/// Has the bundle be of these addons.
fn set(site: &mut Site, bare: &str, addons: &str) -> Result<()> {
    site.config = format!("{bare}{addons}");
    site.bundle()
}

/// One whose pods never become ready.
fn fails(site: &mut Site, beside: &Beside, bare: &str) -> Result<()> {
    set(
        site,
        bare,
        &beside.addons("does: 'echo no database here; exit 1'"),
    )?;
    let failed = site
        .kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
        .with(1)?;
    println!("failed after {:?}:\n{}", failed.took, failed.text);
    for word in [
        "the addon app",
        "app-",
        "container main",
        "no database here",
    ] {
        ensure!(
            failed.text.contains(word),
            "'{word}' is not told:\n{}",
            failed.text
        );
    }
    Ok(())
}

/// Mended, and then gone.
fn goes(site: &mut Site, beside: &Beside, bare: &str, everywhere: &str) -> Result<()> {
    set(site, bare, &beside.addons(""))?;
    site.install()?;
    site.is_green()?;
    set(site, bare, &beside.manifest_alone())?;
    let removed = site.install()?;
    println!("removal: {:?}\n{}", removed.took, removed.text);
    let left =
        site.kubectl("get all,configmaps,serviceaccounts --namespace app-system --output name")?;
    let own = [
        "deployment.apps/app",
        "configmap/of-",
        "serviceaccount/app",
        "job.batch/",
    ];
    ensure!(!own.iter().any(|name| left.contains(name)), "{left}");
    ensure!(left.contains("daemonset.apps/everywhere"), "{left}");
    let kinds = site.kubectl("get customresourcedefinitions --output name")?;
    ensure!(!kinds.contains("widgets"), "{kinds}");
    let inventories = "get configmaps --namespace kube-system --selector kubexm.mensylisir.io/addon --output name";
    let inventories = site.kubectl(inventories)?;
    ensure!(
        inventories.trim() == "configmap/kubexm-addon-everywhere",
        "{inventories}"
    );
    ensure!(
        site.kubectl(PODS)? == everywhere,
        "the manifest's pods are others"
    );
    ensure!(
        site.install()?.text.contains(QUIET),
        "the second run does something"
    );
    site.is_green()
}
