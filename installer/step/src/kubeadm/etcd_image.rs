use std::sync::Arc;

use artifact::split_tag;
use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, quote};

use crate::kubeadm::etcd::{ASIDE, MANIFEST, MERGE, TRYING, take_up};
use crate::kubeadm::{NOTES, exclusive, run};
use crate::shell::{ask, must};

/// Has a master's own member of etcd run this image, if its own is an older one, and changes nothing else of it, but that it
/// founds no cluster any more: kubeadm of a later version does not know the arguments of an etcd of before. A member is
/// restarted only while the others keep the majority, and must be well again before the next master may follow.
///
/// Until it was seen to be well there is no note, and a run that was cut short waits for it again.
pub struct KubeadmEtcdImage {
    pub image: String,
    /// The apiserver's own.
    pub port: u16,
}

const NOTE: &str = "etcd-image";

impl KubeadmEtcdImage {
    /// Prints why the member is to change; nothing where it is not older.
    fn state(&self) -> String {
        let image = quote(&self.image);
        format!(
            "version() {{ tag=${{1##*:}}; tag=${{tag#v}}; echo \"${{tag%%-*}}\"; }}
has=$(sed -n 's|^ *image: *||p' {MANIFEST} 2>/dev/null | head -n 1)
[ -n \"$has\" ] || {{ echo has no manifest; exit; }}
newest=$(printf '%s\\n' \"$(version \"$has\")\" \"$(version {image})\" | sort -V | tail -n 1)
[ \"$newest\" = \"$(version \"$has\")\" ] || {{ echo \"is $(version \"$has\")\"; exit; }}
[ \"$has\" != {image} ] || [ \"$(cat {NOTES}/{NOTE} 2>/dev/null)\" = {image} ] || echo was not seen to be well"
        )
    }

    /// The image is there before the member goes away.
    fn lay_aside(&self) -> String {
        format!(
            "state() {{ {state}
}}
case $(state) in '' | 'was not seen to be well') exit 0 ;; esac
[ -n \"$(crictl inspecti --quiet {image} 2>/dev/null)\" ] || quietly crictl pull {image}
sed 's|^\\( *image: \\).*|\\1'{image}'|' {MANIFEST} > {ASIDE}.part
{MERGE} {MANIFEST} {ASIDE}.part > {ASIDE}
rm -f {ASIDE}.part
echo another",
            state = self.state(),
            image = quote(&self.image),
        )
    }

    fn version(&self) -> &str {
        split_tag(&self.image)
            .1
            .map_or(self.image.as_str(), |tag| tag.trim_start_matches('v'))
    }
}

#[async_trait]
impl Step for KubeadmEtcdImage {
    fn id(&self) -> String {
        "image of etcd".to_owned()
    }

    fn describe(&self) -> String {
        format!("run etcd {} on this master, if it is older", self.version())
    }

    fn inputs(&self) -> String {
        format!("{} {}", self.image, self.port)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let needed = ask(cx, Command::script(self.state())).await?.text();
        Ok(if needed.is_empty() {
            State::Satisfied
        } else {
            State::needed(needed)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let another = run(cx, TRYING, exclusive(&self.lay_aside())).await?;
        take_up(cx, self.port, &another).await?;
        let note = format!(
            "mkdir -p {NOTES}; printf '%s\\n' {} > {NOTES}/{NOTE}",
            quote(&self.image)
        );
        must(cx, "note which etcd runs", Command::script(note))
            .await
            .map(drop)
    }

    /// `ResetNode`, the counterpart of setting up the node, takes the pods away.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step() -> KubeadmEtcdImage {
        KubeadmEtcdImage {
            image: "quay.io/coreos/etcd:v3.5.33".to_owned(),
            port: 6443,
        }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        reads(&step().state());
        reads(exclusive(&step().lay_aside()).text());
    }

    /// A script in which the host's files are those of a folder.
    fn said(script: &str, dir: &std::path::Path) -> String {
        let script = script
            .replace("/etc/kubernetes", dir.to_str().unwrap())
            .replace(NOTES, dir.to_str().unwrap());
        let output = std::process::Command::new("sh")
            .args([
                "-euc",
                &format!("crictl() {{ echo there; }}; quietly() {{ :; }}\n{script}"),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn only_an_older_member_changes_and_only_its_image() {
        let dir = tempfile::tempdir().unwrap();
        let manifests = dir.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let manifest = manifests.join("etcd.yaml");
        let of = |image: &str| {
            format!(
                "spec:\n  containers:\n  - command:\n    - etcd\n    - --initial-cluster=m1=x\n    image: {image}\n    name: etcd\n"
            )
        };
        let state = step().state();
        assert_eq!(said(&state, dir.path()), "has no manifest\n");
        for (image, told) in [
            ("registry.k8s.io/etcd:3.5.24-0", "is 3.5.24\n"),
            ("registry.k8s.io/etcd:3.5.9-0", "is 3.5.9\n"),
            ("registry.k8s.io/etcd:3.6.5-0", ""),
            ("registry.k8s.io/etcd:3.5.33-0", ""),
            ("quay.io/coreos/etcd:v3.5.33", "was not seen to be well\n"),
        ] {
            std::fs::write(&manifest, of(image)).unwrap();
            assert_eq!(said(&state, dir.path()), told, "{image}");
        }
        std::fs::write(dir.path().join(NOTE), "quay.io/coreos/etcd:v3.5.33\n").unwrap();
        assert_eq!(said(&state, dir.path()), "");

        assert_eq!(said(&step().lay_aside(), dir.path()), "");
        std::fs::write(&manifest, of("registry.k8s.io/etcd:3.5.24-0")).unwrap();
        assert_eq!(said(&step().lay_aside(), dir.path()), "another\n");
        let aside = std::fs::read_to_string(dir.path().join(".etcd.yaml")).unwrap();
        // It founds no cluster any more.
        let founded = "    - --initial-cluster-state=existing\n";
        assert!(aside.contains(founded), "{aside}");
        assert_eq!(
            aside.replace(founded, ""),
            of("quay.io/coreos/etcd:v3.5.33")
        );
    }
}
