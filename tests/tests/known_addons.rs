//! Addons that kubexm knows, on real Kubernetes in the lab: metrics-server, local-path and metallb come from one bundle, do what they are
//! there for, and go. `KUBEXM_LAB_IMAGES` names a folder with a real helm, and with what of them somebody has built: images, and
//! manifests and charts at their upstreams' addresses. What it has no image of is left out, and said so.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::kube::{Site, Topology};
use tests::lab::run;

/// The last is the registry.
const NODES: usize = 4;
const QUIET: &str = "everything is as it should be";

/// An addon, and an image without which it is left out.
const ADDONS: [(&str, &str); 4] = [
    ("metrics-server", "metrics-server/metrics-server:"),
    ("local-path", "rancher/local-path-provisioner:"),
    ("metallb", "metallb/controller:"),
    ("multus", "k8snetworkplumbingwg/multus-cni:"),
];

/// Addresses that metallb may give, beside those of the hosts, and what is reached by one.
const POOLS: &str = "
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pool, namespace: metallb-system}
spec: {addresses: [FIRST-LAST]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: pool, namespace: metallb-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: docker.io/library/busybox:1.37.0
          command: [sh, -c, 'mkdir /www && echo reached >/www/index.html && exec httpd -f -p 8000 -h /www']
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8000}]
";

/// A second network, and a pod in it.
const SECOND: &str = r#"
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: second, namespace: default}
spec:
  config: '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "second0", "ipam": {"type": "host-local", "subnet": "10.77.0.0/24"}}'
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: default, annotations: {k8s.v1.cni.cncf.io/networks: second}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "docker.io/library/busybox:1.37.0", command: [sleep, infinity]}]
"#;

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {storageClassName: local-path, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
";

/// A pod that has the claim and does this.
fn pod(name: &str, does: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  containers:
    - {{name: main, image: 'docker.io/library/busybox:1.37.0', command: [sh, -c, '{does}'], volumeMounts: [{{name: data, mountPath: /data}}]}}
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: kept}}}}]
"
    )
}

fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("KUBEXM_LAB_IMAGES");
    folder
        .map(PathBuf::from)
        .context("KUBEXM_LAB_IMAGES names no folder")
}

/// Those of which the lab has real images.
fn real() -> Result<Vec<&'static str>> {
    let list = fs::read_to_string(folder()?.join("images/list")).unwrap_or_default();
    let (real, absent): (Vec<_>, Vec<_>) = ADDONS
        .into_iter()
        .partition(|(_, image)| list.contains(image));
    for (name, image) in absent {
        println!("left out: {name}, since KUBEXM_LAB_IMAGES has no image of {image}");
    }
    Ok(real.into_iter().map(|(name, _)| name).collect())
}

fn apply(site: &Site, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), text)?;
    site.lab.put("node1", file.path(), "/root/objects.yaml")?;
    site.kubectl("apply --filename /root/objects.yaml")
        .map(drop)
}

/// Asks until the answer is right.
fn until(what: &str, mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_mins(3) {
        if ask().unwrap_or(false) {
            println!("{what}: {:?}", started.elapsed());
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    ensure!(ask()?, "{what}: not within three minutes");
    Ok(())
}

fn use_is_told(site: &Site) -> Result<()> {
    until("kubectl top tells every node and pods", || {
        let nodes = site.kubectl("top nodes --no-headers")?;
        let pods = site.kubectl("top pods --namespace kube-system --no-headers")?;
        Ok(nodes.lines().count() == NODES - 1 && !nodes.contains("unknown") && !pods.is_empty())
    })?;
    println!("{}", site.kubectl("top nodes")?);
    Ok(())
}

/// What one pod has written another reads, when the first is gone.
fn a_volume_outlives_its_pod(site: &Site) -> Result<()> {
    apply(site, CLAIM)?;
    apply(site, &pod("writer", "echo kept >/data/file"))?;
    site.kubectl("wait --for jsonpath={.status.phase}=Succeeded --timeout 120s pod/writer")?;
    site.kubectl("delete pod writer")?;
    apply(site, &pod("reader", "cat /data/file"))?;
    site.kubectl("wait --for jsonpath={.status.phase}=Succeeded --timeout 120s pod/reader")?;
    let read = site.kubectl("logs reader")?;
    ensure!(read.trim() == "kept", "{read}");
    site.kubectl("delete pod reader").map(drop)
}

fn a_pod_has_a_second_network(site: &Site) -> Result<()> {
    apply(site, SECOND)?;
    site.kubectl("wait --for condition=Ready --timeout 120s pod/two")?;
    let addresses = site.kubectl("exec two -- ip -4 -o address show net1")?;
    ensure!(addresses.contains("10.77.0."), "{addresses}");
    site.kubectl("delete pod two")?;
    site.kubectl("delete network-attachment-definitions second")
        .map(drop)
}

/// From the operator's machine, which is no node.
fn an_address_is_reached_from_outside(site: &Site, first: &str) -> Result<()> {
    let address = "get service web --output jsonpath={.status.loadBalancer.ingress[0].ip}";
    until("metallb gives an address", || {
        Ok(site.kubectl(address)?.trim() == first)
    })?;
    until("the address is reached from outside", || {
        let ask = format!(
            "exec 3<>/dev/tcp/{first}/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        );
        let said = run(site
            .lab
            .inside_shell(&format!("timeout 5 bash -c \"{ask}\"")))?;
        Ok(said.text.contains("reached"))
    })
}

#[test]
#[ignore = "needs the lab, real Kubernetes, a real helm and real addons: make e2e"]
fn what_the_catalogue_knows_works_and_goes() -> Result<()> {
    let helm = fs::read_to_string(folder()?.join("HELM"))?;
    let real = real()?;
    let beside = tempfile::tempdir_in("/var/tmp")?;
    let pools = beside.path().join("pools.yaml");
    let mut site = Site::of(NODES, Topology::Small, "kubexm", |config| {
        let first = range(config)?;
        let text = POOLS.replace("FIRST", &format!("{first}.240"));
        fs::write(&pools, text.replace("LAST", &format!("{first}.250")))?;
        let config = config.replace(
            "  versions:\n",
            &format!("  versions:\n    helm: {}\n", helm.trim()),
        );
        Ok(config)
    })?;
    let bare = site.config.clone();
    let first = format!("{}.240", range(&bare)?);
    let named = real.join(", ");
    let pools = if real.contains(&"metallb") {
        format!(", {{name: pools, manifests: [{}]}}", pools.display())
    } else {
        String::new()
    };
    site.config = format!("{bare}  addons: [{named}{pools}]\n");
    site.bundle()?;
    let installed = site.install()?;
    println!("install: {:?}", installed.took);
    site.is_green()?;
    site.lab.nobody_asked_for_the_world()?;
    if real.contains(&"metrics-server") {
        use_is_told(&site)?;
    }
    if real.contains(&"local-path") {
        a_volume_outlives_its_pod(&site)?;
    }
    if real.contains(&"metallb") {
        an_address_is_reached_from_outside(&site, &first)?;
    }
    if real.contains(&"multus") {
        a_pod_has_a_second_network(&site)?;
    }
    let again = site.install()?;
    ensure!(again.text.contains(QUIET), "{}", again.text);
    println!("again: {:?}", again.took);
    they_go(&mut site, &bare, &real)?;
    site.lab.nobody_asked_for_the_world()
}

/// The first three numbers of the hosts' addresses.
fn range(config: &str) -> Result<String> {
    let (_, address) = config
        .split_once("address: ")
        .context("a config has hosts")?;
    let address: String = address
        .chars()
        .take_while(|at| at.is_ascii_digit() || *at == '.')
        .collect();
    let (range, _) = address.rsplit_once('.').context("an address of IPv4")?;
    Ok(range.to_owned())
}

/// Not while somebody has a volume; then without a trace.
fn they_go(site: &mut Site, bare: &str, real: &[&str]) -> Result<()> {
    bare.clone_into(&mut site.config);
    site.bundle()?;
    if real.contains(&"local-path") {
        let refused = site.kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?;
        let refused = refused.with(1)?;
        let told = "the addon local-path cannot go: it has the volumes of default/kept";
        ensure!(refused.text.contains(told), "{}", refused.text);
        site.kubectl("delete persistentvolumeclaim kept")?;
        until("the volume goes with its claim", || {
            Ok(site
                .kubectl("get persistentvolumes --output name")?
                .trim()
                .is_empty())
        })?;
    }
    let removed = site.install()?;
    println!("removal: {:?}", removed.took);
    let kinds = "namespaces,customresourcedefinitions,storageclasses,apiservices,validatingwebhookconfigurations,clusterroles";
    let left = site.kubectl(&format!("get {kinds} --output name"))?;
    for trace in ["metallb", "local-path", "metrics", "k8s.cni.cncf.io"] {
        ensure!(!left.contains(trace), "{trace} is left:\n{left}");
    }
    let configs = site.lab.on("node1", "ls /etc/cni/net.d")?;
    ensure!(!configs.contains("multus"), "{configs}");
    let again = site.install()?;
    ensure!(again.text.contains(QUIET), "{}", again.text);
    site.is_green()
}
