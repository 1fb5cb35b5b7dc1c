//! Who uses a cluster all the time while something is done to it, and what they meet.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::{Lab, run};

/// A service of two pods on port 30080 of every node, with a budget that spares one of them.
const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}}
      containers:
      - name: web
        image: docker.io/library/busybox:1.37
        command: [sh, -c, mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: written}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: writer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
";

const KUBECTL: &str =
    "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";

/// Sets the service up, and waits for its pods.
pub fn serve(lab: &Lab) -> Result<()> {
    let text = WEB.replace('\'', "'\\''");
    let script = format!(
        "printf '%s' '{text}' | {KUBECTL} apply -f - && {KUBECTL} rollout status deployment/web --timeout 120s"
    );
    lab.on("node1", &script).map(drop)
}

/// The service by the ports of these nodes.
#[must_use]
pub fn node_ports(addresses: &[&str]) -> Vec<String> {
    let url = |address: &&str| format!("http://{address}:30080/");
    addresses.iter().map(url).collect()
}

/// A shell inside of the site that goes on until it is ended, and what it has noted.
struct Talker {
    child: Child,
    told: PathBuf,
}

impl Talker {
    /// `body` is what is done ten times a second.
    fn begin(lab: &Lab, name: &str, body: &str) -> Result<Self> {
        let told = lab.work().join(format!("{name}.log"));
        let script = format!(
            "while :; do {body}; sleep 0.1; done > {} 2>&1",
            told.display()
        );
        let mut command = lab.inside_shell(&script);
        let child = command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, told })
    }

    fn end(mut self) -> Result<String> {
        end_group(&mut self.child)?;
        fs::read_to_string(&self.told).with_context(|| self.told.display().to_string())
    }
}

fn end_group(child: &mut Child) -> Result<()> {
    let group = format!("-{}", child.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()?;
    child.wait()?;
    Ok(())
}

/// Asks one address after the other, again and again.
pub struct Client(Talker);

/// Waits until all of them answer: behind a service that is there the rules of its nodes come a moment later.
fn answer(lab: &Lab, urls: &[String]) -> Result<()> {
    let urls = urls.join(" ");
    let script = format!(
        "for i in $(seq 60); do ill=; for url in {urls}; do curl -fsk -o /dev/null -m 2 $url || ill=$url; done; \
         [ -n \"$ill\" ] || exit 0; sleep 1; done; echo $ill does not answer; exit 1"
    );
    run(lab.inside_shell(&script))?.ok().map(drop)
}

impl Client {
    /// Of addresses that answer when it begins.
    pub fn begin(lab: &Lab, name: &str, urls: &[String]) -> Result<Self> {
        answer(lab, urls)?;
        // One request after the other, and each address in turn.
        let body = urls
            .iter()
            .map(|url| {
                format!(
                    "curl -sk -o /dev/null -m 2 -w '%{{http_code}} %{{errormsg}}\\n' {url} || \
                     echo \"at $(date -u +%FT%T) {url}\""
                )
            })
            .collect::<Vec<_>>()
            .join("; sleep 0.1; ");
        Talker::begin(lab, name, &body).map(Self)
    }

    /// How many questions were asked, and which went wrong.
    pub fn end(self) -> Result<(usize, Vec<String>)> {
        let text = self.0.end()?;
        let answers = text.lines().filter(|line| !line.starts_with("at "));
        let failed = text.lines().filter(|line| !line.starts_with("200"));
        Ok((answers.count(), failed.map(str::to_owned).collect()))
    }
}

/// Writes to the API, one object after the other, and reads the service's budget.
pub struct Writer(Talker);

/// What a writer has met.
#[derive(Debug)]
pub struct Written {
    pub writes: usize,
    /// What was answered instead of 200, and when.
    pub failed: Vec<String>,
    pub longest: Duration,
    pub looks: usize,
    /// When fewer pods were well than the budget asks for.
    pub broken: Vec<String>,
}

impl Writer {
    /// `server` is the address of the API without a slash at its end.
    pub fn begin(lab: &Lab, server: &str) -> Result<Self> {
        let token = lab.on(
            "node1",
            &format!("{KUBECTL} create token default --duration 6h"),
        )?;
        let header = lab.work().join("token");
        fs::write(&header, format!("Authorization: Bearer {}", token.trim()))?;
        let ask = format!("curl -sk -m 60 -H @{}", header.display());
        // As clients of Kubernetes do: an apiserver that is about to stop asks them to try again, and says when.
        let body = format!(
            "began=$(date +%s%N); code=$({ask} --retry 5 -o /dev/null -w '%{{http_code}}' -X PATCH \
             -H 'Content-Type: application/merge-patch+json' -d \"{{\\\"data\\\":{{\\\"at\\\":\\\"$began\\\"}}}}\" \
             {server}/api/v1/namespaces/default/configmaps/written); \
             echo write $code $(( ($(date +%s%N) - began) / 1000000 )) $(date -u +%FT%T); echo budget $({ask} -m 5 {server}/apis/policy/v1/namespaces/default/poddisruptionbudgets/web | \
             tr -d ' \\n' | grep -o '\"\\(current\\|desired\\)Healthy\":[0-9]*' | tr '\\n' ' ') $(date -u +%FT%T)"
        );
        Talker::begin(lab, "writer", &body).map(Self)
    }

    pub fn end(self) -> Result<Written> {
        written(&self.0.end()?)
    }
}

fn written(text: &str) -> Result<Written> {
    let mut seen = Written {
        writes: 0,
        failed: Vec::new(),
        longest: Duration::ZERO,
        looks: 0,
        broken: Vec::new(),
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("write ") {
            let mut words = rest.split(' ');
            let (code, took) = (words.next(), words.next());
            // Cut short by the end.
            let Some(took) = took.and_then(|took| took.parse().ok()) else {
                continue;
            };
            seen.writes += 1;
            seen.longest = seen.longest.max(Duration::from_millis(took));
            if code != Some("200") {
                seen.failed.push(rest.to_owned());
            }
        } else if let Some(rest) = line.strip_prefix("budget ") {
            let parts = rest.split(' ');
            let numbers: BTreeMap<&str, u32> = parts
                .filter_map(|part| part.split_once(':'))
                .filter_map(|(key, number)| Some((key.trim_matches('"'), number.parse().ok()?)))
                .collect();
            let (Some(current), Some(desired)) =
                (numbers.get("currentHealthy"), numbers.get("desiredHealthy"))
            else {
                continue;
            };
            seen.looks += 1;
            if current < desired {
                seen.broken.push(rest.to_owned());
            }
        }
    }
    ensure!(
        seen.writes > 0 && seen.looks > 0,
        "the writer has met nothing:\n{text}"
    );
    Ok(seen)
}

/// A command that goes on beside the test; ended with all that it started.
pub struct Beside {
    child: Child,
    told: PathBuf,
}

impl Beside {
    pub fn begin(mut command: Command, told: &Path) -> Result<Self> {
        let file = fs::File::create(told)?;
        let child = command
            .process_group(0)
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let told = told.to_owned();
        Ok(Self { child, told })
    }

    /// Whether it is still at work.
    pub fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits for its end: its status, and all that it said.
    pub fn end(mut self) -> Result<(Option<i32>, String)> {
        let status = self.child.wait()?;
        Ok((status.code(), fs::read_to_string(&self.told)?))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // A test that failed must not fail again here.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = end_group(&mut self.child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_writer_has_met() {
        let text = "write 200 12 2026-01-01T00:00:00\n\
                    budget \"currentHealthy\":2 \"desiredHealthy\":1 2026-01-01T00:00:00\n\
                    write 000 1500 2026-01-01T00:00:01\n\
                    budget 2026-01-01T00:00:01\n\
                    write 200 3250 2026-01-01T00:00:05\n\
                    budget \"currentHealthy\":0 \"desiredHealthy\":1 2026-01-01T00:00:05\nwrite 2";
        let seen = written(text).unwrap();
        assert_eq!((seen.writes, seen.looks), (3, 2));
        assert_eq!(seen.failed, ["000 1500 2026-01-01T00:00:01"]);
        assert_eq!(seen.longest, Duration::from_millis(3250));
        assert_eq!(seen.broken.len(), 1);
        assert!(written("").is_err());
    }
}
