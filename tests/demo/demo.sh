#!/usr/bin/env bash
# The whole path, once, for real: bundle on this side, carry one file, install in a site without a route out, prove it.
set -euo pipefail
cd "$(dirname "$0")/../.."
export KUBEXM_LAB_DIR=${KUBEXM_LAB_DIR:-/var/tmp/kubexm-lab}
lab=$PWD/tests/lab/lab
kubexm=$PWD/target/release/kubexm
out=${KUBEXM_DEMO_DIR:-/var/tmp/kubexm-demo}
upstream=http://127.0.0.1:${KUBEXM_LAB_PORT:-18480}

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
# Shows a command as one would type it, and runs it.
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}
in_site() { "$lab" enter "$@"; }
on() { "$lab" ssh "$@"; }
refused() {
	if "$@" >"$out/refused.log" 2>&1; then
		echo "this should have been refused" >&2
		exit 1
	fi
	tail -n 1 "$out/refused.log"
}

title "Four bare hosts in a site without a route out, and an upstream to bundle from"
# Bare hosts, whatever an earlier lab left on them.
"$lab" down >/dev/null
NODES=4 "$lab" up >"$out.lab.log" 2>&1 || {
	cat "$out.lab.log"
	exit 1
}
"$lab" egress reset >/dev/null
rm -rf "$out"
mkdir -p "$out/connected" "$out/site"
"$lab" config >"$out/connected/config.yaml"
"$lab" status

title "Where there is Internet: one file from config.yaml"
cd "$out/connected"
run "$kubexm" bundle -f config.yaml --mirror "*=$upstream"
cd - >/dev/null

title "The disk travels"
run cp "$out/connected/lab.tar.zst" "$out/connected/kubexm" "$out/connected/config.yaml" "$out/site/"

title "In the site: verify, unpack, registry first, containerd, etcd"
cd "$out/site"
run in_site ./kubexm install lab.tar.zst -f config.yaml --until images
cd - >/dev/null

title "Proof 1: the registry serves every image, over TLS, to those who know the password"
login=$(sed -E 's/.*"username":"([^"]*)".*"password":"([^"]*)".*/user = "\1:\2"/' "$out/site/.kubexm/lab/certs/registry/credentials.json")
in_site curl -sS --fail --noproxy '*' --cacert "$out/site/.kubexm/lab/certs/registry/ca.crt" --config - \
	--resolve dockerhub.kubexm.local:5000:172.30.0.14 https://dockerhub.kubexm.local:5000/v2/_catalog <<<"$login"
echo "and to nobody else: $(in_site curl -sS --noproxy '*' --cacert "$out/site/.kubexm/lab/certs/registry/ca.crt" \
	--resolve dockerhub.kubexm.local:5000:172.30.0.14 -o /dev/null -w '%{http_code}' https://dockerhub.kubexm.local:5000/v2/_catalog)"

title "Proof 2: etcd, three members, over TLS"
on node1 'etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt --cert=/etc/etcd/pki/healthcheck-client.crt \
	--key=/etc/etcd/pki/healthcheck-client.key endpoint health --cluster --write-out=table'

title "Proof 3: a container on a worker, from an image pulled by its original name"
pull='ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d'
on node2 "$pull docker.io/library/busybox:1.37 >/dev/null && \
	ctr -n k8s.io run --rm docker.io/library/busybox:1.37 demo-\$\$ echo 'hello from busybox on node2'"

title "Proof 4: what was not bundled cannot be pulled, from nowhere"
refused on node2 "$pull docker.io/library/nginx:latest"
refused on node2 "$pull quay.io/some/thing:1"

title "Proof 5: not a packet left the site"
"$lab" egress | grep packets

title "A second run finds everything as it should be"
cd "$out/site"
in_site ./kubexm install lab.tar.zst -f config.yaml --until images 2>&1 | tail -n 12
cd - >/dev/null

cat <<-EOF

	Kubernetes itself is not installed by this version: the demo ends with registry, containerd and etcd.

	Look around:
	  tests/lab/lab ssh node1                     a shell on a node
	  tests/lab/lab enter                         a shell inside of the site, as the operator has it
	  $out/site/.kubexm/lab    the tree: certificates, images, programs, state/ with journal and reports
	  make lab-down                               ends the lab
EOF
