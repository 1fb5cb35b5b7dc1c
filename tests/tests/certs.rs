//! Certificates of a real cluster in the lab: all of them ended, and renewed; all authorities replaced under a client's eyes.
//! `KUBEXM_LAB_KUBE` gives the programs; without them `make e2e` leaves these tests out.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::kube::{Site, Topology};
use tests::lab::{Ended, kill_after, run};
use tests::load::{Client, node_ports, serve};

const HOSTS: [&str; 4] = ["node1", "node2", "node3", "node4"];
const UNCHANGED: &str = "everything is as it should be";

fn up(kind: &str) -> Result<Site> {
    let site = Site::up(HOSTS.len(), Topology::Small, kind)?;
    let installed = site.install()?;
    println!("{kind}: installed in {:?}", installed.took);
    Ok(site)
}

/// What the operator's machine holds of this site.
fn certs(site: &Site) -> PathBuf {
    site.lab.work().join(".kubexm/lab/certs")
}

fn certs_verb(site: &Site, verb: &[&str]) -> Result<Ended> {
    site.kubexm(&[&["certs"], verb, &["-f", "config.yaml"]].concat())
}

/// Puts the authorities where a host's script can sign by them.
fn lend_authorities(site: &Site, host: &str) -> Result<()> {
    let mut script = "umask 077; mkdir -p /dev/shm/ca; cd /dev/shm/ca\n".to_owned();
    for (name, path) in [
        ("kubernetes", "kubernetes/ca"),
        ("front-proxy", "kubernetes/front-proxy-ca"),
        ("etcd", "etcd/ca"),
        ("registry", "registry/ca"),
    ] {
        for suffix in ["crt", "key"] {
            let text = fs::read_to_string(certs(site).join(format!("{path}.{suffix}")))?;
            writeln!(script, "cat > {name}.{suffix} <<'END'\n{text}END")?;
        }
    }
    site.lab.on(host, &script).map(drop)
}

/// Every certificate of a host but authorities as its own authority would have made it two years ago, for one year.
const EXPIRE: &str = r#"
set -eu
expire() {
  case $(openssl x509 -noout -issuer -in "$1") in
    *etcd*) by=etcd ;; *front-proxy*) by=front-proxy ;; *registry*) by=registry ;; *) by=kubernetes ;;
  esac
  openssl x509 -in "$1" -CA /dev/shm/ca/$by.crt -CAkey /dev/shm/ca/$by.key \
    -not_before 20240101000000Z -not_after 20250101000000Z -out /dev/shm/ca/out 2>/dev/null
  cat /dev/shm/ca/out > "$1"
}
for file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt /etc/etcd/pki/*.crt /etc/kubexm-registry/registry.crt; do
  case $file in *'*'*|*/ca.crt|*/ca-signing.crt|*/front-proxy-ca.crt) continue ;; esac
  [ ! -e "$file" ] || expire "$file"
done
for file in /etc/kubernetes/*.conf; do
  data=$(sed -n 's/^ *client-certificate-data: *//p' "$file" | tr -d '"')
  [ -n "$data" ] || continue
  printf '%s' "$data" | base64 -d > /dev/shm/ca/client.crt
  expire /dev/shm/ca/client.crt
  sed -i "s|client-certificate-data: .*|client-certificate-data: $(base64 -w 0 /dev/shm/ca/client.crt)|" "$file"
done
own=/var/lib/kubelet/pki/kubelet-client-current.pem
if [ -e $own ]; then
  sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' $own > /dev/shm/ca/client.crt
  sed -n '/PRIVATE KEY/,/PRIVATE KEY/p' $own > /dev/shm/ca/client.key
  expire /dev/shm/ca/client.crt
  cat /dev/shm/ca/client.crt /dev/shm/ca/client.key > /dev/shm/ca/pem
  cat /dev/shm/ca/pem > "$(readlink -f $own)"
fi
rm -rf /dev/shm/ca
"#;

/// As after a power cut: all that has read a certificate reads it again.
const RESTART: &str = r#"
for id in $(crictl ps --quiet --label io.kubernetes.pod.namespace=kube-system 2>/dev/null); do
  case $(crictl inspect --output go-template --template '{{index .status.labels "io.kubernetes.container.name"}}' $id) in
    kube-apiserver|kube-controller-manager|kube-scheduler|etcd) crictl stop --timeout 5 $id > /dev/null ;;
  esac
done
for unit in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubexm-registry; do
  [ ! -e /etc/systemd/system/$unit.service ] || systemctl restart --no-block $unit
done
"#;

fn all_that_has_ended_is_renewed(site: &Site, kind: &str) -> Result<()> {
    site.kubectl("get nodes")?;
    for host in HOSTS {
        lend_authorities(site, host)?;
        site.lab.on(host, EXPIRE)?;
    }
    for host in HOSTS {
        site.lab.on(host, RESTART)?;
    }
    std::thread::sleep(Duration::from_secs(20));
    ensure!(
        site.kubectl("get nodes --request-timeout 5s").is_err(),
        "the apiserver still lets somebody in whose certificate has ended"
    );
    let checked = certs_verb(site, &["check"])?.with(1)?;
    ensure!(checked.text.contains("ended"), "{}", checked.text);
    site.kubexm(&["check", "-f", "config.yaml"])?.with(1)?;

    let killed = kill_after(
        site.lab
            .inside(site.lab.work(), &["certs", "renew", "-f", "config.yaml"]),
        Duration::from_secs(8),
    )?;
    let renewed = certs_verb(site, &["renew"])?.ok()?;
    println!(
        "{kind}: all that had ended renewed in {:?}, killed before: {killed}",
        renewed.took
    );
    site.is_green()?;
    certs_verb(site, &["check"])?.ok()?;
    let installed = site.install()?;
    ensure!(installed.text.contains(UNCHANGED), "{}", installed.text);
    Ok(())
}

/// Whether the apiservers take this token for what it is.
fn is_good(site: &Site, token: &str) -> Result<bool> {
    let url = "https://172.30.0.11:6443/api/v1/namespaces/kube-system";
    let ask = format!(
        "curl -sk -o /dev/null -w '%{{http_code}}' -H 'Authorization: Bearer {token}' {url}"
    );
    let said = run(site.lab.inside_shell(&ask))?.ok()?.text;
    // One that is known has no right to it; one that is not has no name.
    ensure!(said == "403" || said == "401", "{said}");
    Ok(said == "403")
}

/// A line of a certificate that no other has.
fn trait_of(site: &Site, path: &str) -> Result<String> {
    let pem = fs::read_to_string(certs(site).join(path))?;
    let line = pem.lines().nth(pem.lines().count() - 3);
    Ok(line.unwrap_or_default().to_owned())
}

fn authorities_give_way_to_others(site: &Site, kind: &str) -> Result<()> {
    serve(&site.lab)?;
    site.kubexm(&["kubeconfig", "-f", "config.yaml", "-o", "before.conf"])?
        .ok()?;
    let token = site.kubectl("create token default --duration 2h")?;
    let token = token.trim();
    ensure!(is_good(site, token)?, "a token is good from its beginning");
    let of_before = [
        "kubernetes/ca.crt",
        "kubernetes/front-proxy-ca.crt",
        "etcd/ca.crt",
        "registry/ca.crt",
    ];
    let of_before: Vec<String> = of_before
        .iter()
        .map(|path| trait_of(site, path))
        .collect::<Result<_>>()?;
    let dry = certs_verb(site, &["rotate-ca", "--dry-run"])?.ok()?;
    ensure!(
        dry.text.contains("move 1 of 3 (trust) begins"),
        "{}",
        dry.text
    );

    let ports = node_ports(&["172.30.0.11", "172.30.0.12", "172.30.0.13"]);
    let pods = Client::begin(&site.lab, "pods", &ports)?;
    let apiserver = ["https://172.30.0.11:6443/readyz".to_owned()];
    let api = Client::begin(&site.lab, "api", &apiserver)?;
    let began = Instant::now();
    // It stops between two moves.
    let stop = "--inject-error=issue/sign/authorities/(operator)/issue of etcd/ca";
    let stopped = certs_verb(site, &["rotate-ca", "--yes", stop])?.with(1)?;
    println!("{kind}: first move in {:?}", stopped.took);
    ensure!(is_good(site, token)?, "a token of before is good");
    let checked = certs_verb(site, &["check"])?.ok()?;
    ensure!(checked.text.contains("of 3 ("), "{}", checked.text);
    let installed = site.install()?;
    ensure!(installed.text.contains("of 3 ("), "{}", installed.text);
    site.is_green()?;
    // Cut short inside of moves.
    let rotate = ["certs", "rotate-ca", "-f", "config.yaml", "--yes"];
    for seconds in [25, 60] {
        let go_on = site.lab.inside(site.lab.work(), &rotate);
        ensure!(
            kill_after(go_on, Duration::from_secs(seconds))?,
            "it was over before it was killed"
        );
        ensure!(is_good(site, token)?, "a token of before is good");
    }
    let ended = site.kubexm(&rotate)?.ok()?;
    let took = began.elapsed();
    println!(
        "{kind}: the last run took {:?}, all of it {took:?}",
        ended.took
    );
    let ((asked, failed), (asked_api, failed_api)) = (pods.end()?, api.end()?);
    println!(
        "{kind}: {} of {asked} requests to the service failed: {failed:?}\n{kind}: {} of {asked_api} to the only apiserver",
        failed.len(),
        failed_api.len() / 2,
    );
    nobody_knows_the_old_ones(site, kind, &of_before)?;
    ensure!(!is_good(site, token)?, "a token of before is void");
    let before = "kubectl --kubeconfig before.conf --request-timeout 5s get nodes";
    let before = format!(
        "cd {}; PATH=$PATH:{} {before}",
        site.lab.work().display(),
        programs()
    );
    ensure!(
        run(site.lab.inside_shell(&before))?.code != Some(0),
        "a kubeconfig of before is void"
    );
    site.is_green()?;
    let installed = site.install()?;
    ensure!(installed.text.contains(UNCHANGED), "{}", installed.text);
    for host in &HOSTS[..3] {
        let named =
            format!("-n kube-system get pods --field-selector spec.nodeName={host} -o name");
        let pods = site.kubectl(&named)?;
        if let Some(pod) = pods.lines().next() {
            site.kubectl(&format!("-n kube-system logs {pod} --tail 1"))?;
        }
    }

    // And once more, of one alone.
    let again = [&rotate[..], &["--authority", "front-proxy"]].concat();
    let again = site.kubexm(&again)?.ok()?;
    println!(
        "{kind}: the authority of the front proxy once more in {:?}",
        again.took
    );
    site.is_green()?;
    site.lab.nobody_asked_for_the_world()?;
    ensure!(
        failed.is_empty(),
        "requests to the service failed: {failed:?}"
    );
    Ok(())
}

/// Where kubectl is on this machine.
fn programs() -> String {
    let folders = std::env::var("KUBEXM_LAB_KUBE").unwrap_or_default();
    folders.rsplit(':').next().unwrap_or_default().to_owned()
}

/// Neither on hosts nor in the cluster nor on the operator's machine.
fn nobody_knows_the_old_ones(site: &Site, kind: &str, of_before: &[String]) -> Result<()> {
    for line in of_before {
        let look = format!(
            "line='{line}'; grep -rlF -e \"$line\" /etc/kubernetes /etc/etcd /etc/kubexm /etc/containerd /etc/kubexm-registry \
             /etc/cni 2>/dev/null; for file in $(ls /etc/kubernetes/*.conf 2>/dev/null); do \
             sed -n 's/^ *[a-z]*-*certificate-*[a-z]*-data: *//p' $file | tr -d '\"' | base64 -d | grep -qF -e \"$line\" && \
             echo $file; done; true"
        );
        for host in HOSTS {
            let found = site.lab.on(host, &look)?;
            ensure!(
                found.trim().is_empty(),
                "{kind}: {host} still has it: {found}"
            );
        }
        let maps = site.kubectl("get configmaps --all-namespaces -o yaml")?;
        ensure!(!maps.contains(line), "{kind}: a config map still has it");
    }
    let left = Command::new("find")
        .arg(certs(site))
        .args(["-name", "*.rotation"])
        .output()?;
    ensure!(
        left.stdout.is_empty(),
        "{:?}",
        String::from_utf8_lossy(&left.stdout)
    );
    Ok(())
}

fn certificates_live_and_die(kind: &str) -> Result<()> {
    let site = up(kind)?;
    all_that_has_ended_is_renewed(&site, kind)?;
    authorities_give_way_to_others(&site, kind)
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn plain_binaries_outlive_their_certificates_and_authorities() -> Result<()> {
    certificates_live_and_die("kubexm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn kubeadm_outlives_its_certificates_and_authorities() -> Result<()> {
    certificates_live_and_die("kubeadm")
}
