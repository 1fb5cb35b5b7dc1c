//! Addons before a stand-in of an apiserver that keeps what it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use artifact::{AddonObjects, Hook, HookOn};
use camino::Utf8PathBuf;
use engine::{Cx, Retry, State, Step};
use event::Progress;
use host::fake::FakeHost;
use host::{Command, Output};
use serde_json::{Value, json};
use step::{ApplyAddon, ProveAddon, RemoveAddon};
use tempfile::TempDir;

/// Objects by kind, namespace and name, and what was done to them.
#[derive(Default)]
struct Server {
    objects: BTreeMap<String, Value>,
    done: Vec<String>,
    /// Pods of its deployments do not come up.
    ill: bool,
}

fn key(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let metadata = &object["metadata"];
    format!(
        "{} {}/{}",
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"])
    )
}

fn items(command: &Command) -> Vec<Value> {
    let bytes = command.input().map(AsRef::as_ref).unwrap_or_default();
    let object: Value = serde_json::from_slice(bytes).unwrap();
    match object["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![object],
    }
}

impl Server {
    fn answer(&mut self, command: &Command) -> Output {
        let text = command.text();
        let well = |stdout: String| Output {
            status: 0,
            stdout: stdout.into(),
            stderr: Vec::new(),
        };
        if text.contains(" apply ") {
            for mut object in items(command) {
                self.done.push(format!("apply {}", key(&object)));
                if object["kind"] == "Deployment" {
                    let there = i64::from(!self.ill);
                    object["status"] = json!({ "replicas": 1, "updatedReplicas": there, "availableReplicas": there });
                }
                if object["kind"] == "Job" {
                    object["status"] =
                        json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
                }
                self.objects.insert(key(&object), object);
            }
            return well(String::new());
        }
        if text.contains(" delete ") {
            for object in items(command) {
                if self.objects.remove(&key(&object)).is_some() {
                    self.done.push(format!("delete {}", key(&object)));
                }
            }
            return well(String::new());
        }
        if text.contains(" api-versions ") {
            return well(
                "apiextensions.k8s.io/v1\napps/v1\nbatch/v1\nstorage.k8s.io/v1\nv1\n".to_owned(),
            );
        }
        if text.contains(" diff ") {
            return well(String::new());
        }
        if text.contains(" wait ") {
            self.done.push("wait for kinds".to_owned());
            return well(String::new());
        }
        if text.contains("date") {
            return well("1767225600\n".to_owned());
        }
        if let Some(bytes) = command.input().filter(|bytes| !bytes.is_empty()) {
            let _ = bytes;
            let asked = items(command).into_iter();
            let there = asked.filter_map(|object| self.objects.get(&key(&object)));
            return well(json!({ "items": there.collect::<Vec<_>>() }).to_string());
        }
        self.found(text)
    }

    /// What somebody asks for by kind.
    fn found(&self, text: &str) -> Output {
        let kinds: &[&str] = if text.contains("deployments,daemonsets,statefulsets ") {
            &["Deployment"]
        } else if text.contains(" configmap") {
            &["ConfigMap"]
        } else if text.contains(" persistentvolumes") {
            &["PersistentVolume"]
        } else if text.contains(" jobs ") {
            &["Job"]
        } else if text.contains(" namespace ") {
            &["Namespace"]
        } else if text.contains(" pods ") {
            &["Pod"]
        } else if text.contains(" widgets.example.com") {
            &["Widget"]
        } else {
            &[]
        };
        let of_kind = self.objects.values().filter(|object| {
            let kind = object["kind"].as_str().unwrap_or_default();
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let elsewhere = text.contains("--namespace")
                && !text.contains(&format!("--namespace {namespace} "));
            kinds.contains(&kind) && !elsewhere
        });
        let single = text.contains("--ignore-not-found") && !text.contains("--output name");
        let names = text.contains("--output name");
        let stdout = if names {
            of_kind.map(key).collect::<Vec<_>>().join("\n")
        } else if single {
            let mut found = of_kind.filter(|object| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                text.split_whitespace().any(|word| word == name)
            });
            found.next().map_or_else(String::new, Value::to_string)
        } else {
            json!({ "items": of_kind.collect::<Vec<_>>() }).to_string()
        };
        Output {
            status: 0,
            stdout: stdout.into(),
            stderr: Vec::new(),
        }
    }
}

struct Site {
    dir: TempDir,
    server: Arc<Mutex<Server>>,
    host: Arc<FakeHost>,
}

impl Site {
    fn new() -> Self {
        let server = Arc::<Mutex<Server>>::default();
        let answering = Arc::clone(&server);
        let host = FakeHost::new("m1")
            .on_command(move |command, _| Some(Ok(answering.lock().unwrap().answer(command))));
        Self {
            dir: tempfile::tempdir().unwrap(),
            server,
            host: Arc::new(host),
        }
    }

    fn cx(&self) -> Cx {
        Cx::new(self.host.clone(), Progress::unseen())
    }

    fn step(&self, objects: &AddonObjects) -> ApplyAddon {
        let path = Utf8PathBuf::try_from(self.dir.path().join("addon.json")).unwrap();
        std::fs::write(&path, objects.to_bytes()).unwrap();
        ApplyAddon {
            name: objects.name.clone(),
            path,
            version: objects.version.clone(),
        }
    }

    /// What was done, but for the notes of it.
    fn done(&self) -> String {
        let done = std::mem::take(&mut self.server.lock().unwrap().done);
        let told = done
            .into_iter()
            .filter(|line| !line.contains("kubexm-addon-"));
        told.collect::<Vec<_>>().join("\n")
    }

    fn keep(&self, object: Value) {
        self.server
            .lock()
            .unwrap()
            .objects
            .insert(key(&object), object);
    }
}

fn object(kind: &str, name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name, "namespace": "app" } })
}

fn hook(on: HookOn, name: &str) -> Hook {
    let object = object("Job", name);
    Hook { on, object }
}

fn app() -> AddonObjects {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "widgets.example.com" },
    });
    let class = json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": "fast" } });
    let widget = json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "first", "namespace": "app" },
    });
    AddonObjects {
        name: "app".to_owned(),
        version: "1.0.0-k1.36-abc".to_owned(),
        namespace: "app".to_owned(),
        definitions: vec![definition],
        objects: vec![
            object("ConfigMap", "settings"),
            class,
            object("Deployment", "app"),
        ],
        custom: vec![widget],
        after: vec![
            hook(HookOn::Install, "installed"),
            hook(HookOn::Upgrade, "upgraded"),
        ],
        leaving: vec![hook(HookOn::Both, "leave")],
        ..AddonObjects::default()
    }
}

#[tokio::test]
async fn an_addon_comes_in_order_and_a_second_run_does_nothing() {
    let site = Site::new();
    let step = site.step(&app());
    assert_eq!(
        step.check(&site.cx()).await.unwrap(),
        State::needed("is not there")
    );
    step.apply(&site.cx()).await.unwrap();
    insta::assert_snapshot!(site.done(), @r"
    apply Namespace -/app
    apply CustomResourceDefinition -/widgets.example.com
    wait for kinds
    apply ConfigMap app/settings
    apply StorageClass -/fast
    apply Deployment app/app
    apply Widget app/first
    apply Job app/installed
    ");
    assert_eq!(step.check(&site.cx()).await.unwrap(), State::Satisfied);
    assert_eq!(site.done(), "");
}

#[tokio::test]
async fn what_another_version_no_longer_has_goes() {
    let site = Site::new();
    site.step(&app()).apply(&site.cx()).await.unwrap();
    site.done();
    let mut next = app();
    next.version = "1.1.0-k1.36-abc".to_owned();
    next.objects[0] = object("ConfigMap", "others");
    let step = site.step(&next);
    assert_eq!(
        step.check(&site.cx()).await.unwrap(),
        State::needed("is 1.0.0-k1.36-abc")
    );
    step.apply(&site.cx()).await.unwrap();
    let done = site.done();
    assert!(
        done.contains("apply Job app/upgraded") && !done.contains("installed"),
        "{done}"
    );
    assert!(done.ends_with("delete ConfigMap app/settings"), "{done}");
    assert_eq!(step.check(&site.cx()).await.unwrap(), State::Satisfied);
}

#[tokio::test]
async fn it_goes_by_its_own_way_out_and_leaves_nothing() {
    let site = Site::new();
    site.step(&app()).apply(&site.cx()).await.unwrap();
    site.done();
    let remove = RemoveAddon {
        name: "app".to_owned(),
    };
    remove.apply(&site.cx()).await.unwrap();
    insta::assert_snapshot!(site.done(), @r"
    apply Job app/leave
    delete Widget app/first
    delete Job app/leave
    delete Job app/installed
    delete Deployment app/app
    delete StorageClass -/fast
    delete ConfigMap app/settings
    delete CustomResourceDefinition -/widgets.example.com
    delete Namespace -/app
    ");
    assert!(site.server.lock().unwrap().objects.is_empty());
    assert_eq!(remove.check(&site.cx()).await.unwrap(), State::Satisfied);
}

#[tokio::test]
async fn nothing_is_touched_while_somebody_has_volumes_of_it() {
    let site = Site::new();
    site.step(&app()).apply(&site.cx()).await.unwrap();
    site.done();
    site.keep(json!({
        "kind": "PersistentVolume", "metadata": { "name": "pv-1" },
        "spec": { "storageClassName": "fast", "claimRef": { "namespace": "shop", "name": "data" } },
    }));
    let remove = RemoveAddon {
        name: "app".to_owned(),
    };
    let error = remove.apply(&site.cx()).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    the addon app cannot go: it has the volumes of shop/data
    hint: save what is on them, delete these claims, and run again; or put the addon back into the config
    ");
    assert_eq!(site.done(), "");
}

#[tokio::test]
async fn what_is_not_its_own_stays() {
    let site = Site::new();
    site.keep(json!({ "kind": "Namespace", "metadata": { "name": "app" } }));
    site.step(&app()).apply(&site.cx()).await.unwrap();
    let other = AddonObjects {
        name: "other".to_owned(),
        namespace: "default".to_owned(),
        objects: vec![object("ConfigMap", "settings")],
        ..AddonObjects::default()
    };
    site.step(&other).apply(&site.cx()).await.unwrap();
    site.keep(json!({ "kind": "Widget", "metadata": { "name": "mine", "namespace": "shop" } }));
    RemoveAddon {
        name: "app".to_owned(),
    }
    .apply(&site.cx())
    .await
    .unwrap();
    let left = site.server.lock().unwrap();
    let left: Vec<&String> = left.objects.keys().collect();
    assert_eq!(
        left,
        [
            "ConfigMap app/settings",
            "ConfigMap kube-system/kubexm-addon-other",
            "CustomResourceDefinition -/widgets.example.com",
            "Namespace -/app",
            "Widget shop/mine"
        ]
    );
}

#[tokio::test]
async fn pods_that_do_not_come_up_are_told() {
    let site = Site::new();
    site.step(&app()).apply(&site.cx()).await.unwrap();
    site.server.lock().unwrap().ill = true;
    let mut app = object("Deployment", "app");
    app["status"] = json!({ "conditions": [{ "type": "ReplicaFailure", "status": "True", "message": "quota exceeded" }] });
    site.keep(app);
    let prove = ProveAddon {
        name: "app".to_owned(),
        patience: Retry {
            attempts: 1,
            first_delay: Duration::ZERO,
        },
    };
    let error = prove.apply(&site.cx()).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    the addon app is not ready after 0 s:
    Deployment app/app has 0 of 1 pods: quota exceeded
    hint: what was applied stays, so that it can be looked at; correct the values of the addon, bundle and install again
    ");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_is_told() {
    let site = Site::new();
    let step = site.step(&app());
    std::fs::write(&step.path, "{").unwrap();
    let error = step.check(&site.cx()).await.unwrap_err().to_string();
    let error = error.replace(step.path.as_str(), "PATH");
    insta::assert_snapshot!(error, @"cannot read PATH: EOF while parsing an object at line 1 column 1");
}

#[tokio::test]
async fn what_the_cluster_does_not_serve_is_told_before_anything_is_applied() {
    let site = Site::new();
    let of = |version: &str, kind: &str, name: &str| {
        let mut object = object(kind, name);
        object["apiVersion"] = version.into();
        object
    };
    let monitors = (0..4).map(|at| {
        of(
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            &format!("m{at}"),
        )
    });
    let mut objects = AddonObjects {
        name: "app".into(),
        version: "1".into(),
        namespace: "app".into(),
        objects: monitors.collect(),
        ..AddonObjects::default()
    };
    objects
        .objects
        .push(of("policy/v1beta1", "PodSecurityPolicy", "strict"));
    let error = site.step(&objects).apply(&site.cx()).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    the addon app asks for parts of the API that this cluster does not serve:
    monitoring.coreos.com/v1 (ServiceMonitor app/m0, ServiceMonitor app/m1, ServiceMonitor app/m2 and 1 more)
    policy/v1beta1 (PodSecurityPolicy app/strict)
    hint: a newer version of it may be for this Kubernetes; what another addon brings must stand ahead of it in spec.addons
    ");
    assert_eq!(site.done(), "");
    // What it brings itself is no such part, nor what its programs look after.
    objects.objects.clear();
    objects.custom = vec![of("example.com/v1", "Widget", "first")];
    site.step(&objects).apply(&site.cx()).await.unwrap();
}
