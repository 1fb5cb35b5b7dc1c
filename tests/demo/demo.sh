#!/usr/bin/env bash
# The whole path, once, for real: bundle on this side, carry one file, install in a site without a route out, prove it.
# With real Kubernetes programs in KUBEXM_LAB_KUBE it ends with a cluster, and with its hosts as they were before.
set -euo pipefail
cd "$(dirname "$0")/../.."
export KUBEXM_LAB_DIR=${KUBEXM_LAB_DIR:-/var/tmp/kubexm-lab}
lab=$PWD/tests/lab/lab
kubexm=${KUBEXM:-$PWD/target/release/kubexm}
out=${KUBEXM_DEMO_DIR:-/var/tmp/kubexm-demo}
upstream=http://127.0.0.1:${KUBEXM_LAB_PORT:-18480}
tree=$out/site/.kubexm/lab
# What a stand-in for Kubernetes can be installed up to.
until=(--until images)
[ -z "${KUBEXM_LAB_KUBE-}" ] || until=()

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
# Shows a command as one would type it, and runs it.
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}
in_site() { "$lab" enter "$@"; }
on() { "$lab" ssh "$@"; }
# kubectl as the operator has it: the bundle's, with the kubeconfig that kubexm hands out.
kubectl() { in_site "$out/kubectl" --kubeconfig "$out/site/admin.conf" "$@"; }
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
NODES=4 FLAVOR=minimal "$lab" up >"$out.lab.log" 2>&1 || {
	cat "$out.lab.log"
	exit 1
}
"$lab" egress reset >/dev/null
rm -rf "$out"
mkdir -p "$out/connected" "$out/site"
"$lab" config >"$out/connected/config.yaml"
"$lab" status
# shellcheck disable=SC2016 # the node's shell looks
on node1 'for program in iptables conntrack socat chronyc; do command -v $program || echo "node1 has no $program"; done'
# shellcheck disable=SC2016
of_the_system() { on "$1" '{ dpkg-query -W; cd /; sha256sum $(find etc/apt var/lib/apt/lists -type f); } | LC_ALL=C sort'; }
of_the_system node1 >"$out.before"

title "Where there is Internet: one file from config.yaml"
cd "$out/connected"
run "$kubexm" bundle -f config.yaml --mirror "*=$upstream" --mirror "deb.debian.org=$("$lab" archive)"
cd - >/dev/null

title "The disk travels"
run cp "$out/connected/lab.tar.zst" "$out/connected/kubexm" "$out/connected/config.yaml" "$out/site/"

title "In the site: verify, unpack, the system's packages, registry first, containerd, etcd${KUBEXM_LAB_KUBE:+, Kubernetes}"
cd "$out/site"
run in_site ./kubexm install lab.tar.zst -f config.yaml "${until[@]}"
cd - >/dev/null

title "Proof 1: the packages that the hosts lacked, and nothing of the host's own sources touched"
of_the_system node1 >"$out/after"
if [ -n "$(LC_ALL=C comm -23 "$out.before" "$out/after")" ]; then
	diff "$out.before" "$out/after"
	echo "this should have stayed" >&2
	exit 1
fi
echo 'node1 has these now, and no file of its package sources and lists has changed:'
LC_ALL=C comm -13 "$out.before" "$out/after" | tr '\t' ' ' | paste -sd, | sed 's/,/, /g' | fold -s -w 110
on node1 'apt-get check && chronyc -n tracking | head -n 2'

title "Proof 2: the registry serves every image, over TLS, to those who know the password"
login=$(sed -E 's/.*"username":"([^"]*)".*"password":"([^"]*)".*/user = "\1:\2"/' "$tree/certs/registry/credentials.json")
in_site curl -sS --fail --noproxy '*' --cacert "$tree/certs/registry/ca.crt" --config - \
	--resolve dockerhub.kubexm.local:5000:172.30.0.14 https://dockerhub.kubexm.local:5000/v2/_catalog <<<"$login"
echo "and to nobody else: $(in_site curl -sS --noproxy '*' --cacert "$tree/certs/registry/ca.crt" \
	--resolve dockerhub.kubexm.local:5000:172.30.0.14 -o /dev/null -w '%{http_code}' https://dockerhub.kubexm.local:5000/v2/_catalog)"

title "Proof 3: etcd, three members, over TLS"
on node1 'etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt --cert=/etc/etcd/pki/healthcheck-client.crt \
	--key=/etc/etcd/pki/healthcheck-client.key endpoint health --cluster --write-out=table'

title "Proof 4: a container on a worker, from an image pulled by its original name"
pull='ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d'
on node2 "$pull docker.io/library/busybox:1.37 >/dev/null && \
	ctr -n k8s.io run --rm docker.io/library/busybox:1.37 demo-\$\$ echo 'hello from busybox on node2'"

title "Proof 5: what was not bundled cannot be pulled, from nowhere"
refused on node2 "$pull docker.io/library/nginx:latest"
refused on node2 "$pull quay.io/some/thing:1"

if [ -n "${KUBEXM_LAB_KUBE-}" ]; then
	title "Proof 6: the cluster, asked for everything that must hold"
	cd "$out/site"
	run in_site ./kubexm check -f config.yaml
	run in_site ./kubexm get nodes -f config.yaml
	run in_site ./kubexm kubeconfig -f config.yaml --out admin.conf
	cd - >/dev/null

	title "Proof 7: a workload from a bundled image, on every worker, behind one service"
	install -m 0755 "$tree"/kubernetes/*/amd64/kubectl "$out/kubectl"
	run kubectl apply -f "$PWD/tests/demo/hello.yaml"
	run kubectl rollout status deployment/hello --timeout 2m
	run kubectl get pods --selector app=hello --output wide
	echo 'asked by the name of the service:'
	# shellcheck disable=SC2016 # the pod's shell counts
	kubectl exec deployment/hello -- sh -c 'i=0; while [ $i -lt 30 ]; do wget -qO- http://hello; sleep 0.2; i=$((i + 1)); done' |
		sort | uniq --count | tee "$out/hello.log"
	[ "$(wc -l <"$out/hello.log")" -eq 3 ] || {
		echo "not every worker answered" >&2
		exit 1
	}
	run kubectl delete -f "$PWD/tests/demo/hello.yaml" --wait
fi

title "Not a packet left the site"
"$lab" egress | grep -v '^to watch' | tee "$out/egress.log"
if grep 'asked for' "$out/egress.log"; then
	echo "this should not have been asked" >&2
	exit 1
fi

title "A second run finds everything as it should be"
cd "$out/site"
in_site ./kubexm install lab.tar.zst -f config.yaml "${until[@]}" 2>&1 | tail -n 18
cd - >/dev/null

if [ -n "${KUBEXM_LAB_KUBE-}" ]; then
	title "And away again: nothing of it stays on the hosts"
	cd "$out/site"
	run in_site ./kubexm delete cluster -f config.yaml --purge --yes
	cd - >/dev/null
	# shellcheck disable=SC2016 # the node's shell looks
	look='for path in /etc/kubernetes /etc/etcd /etc/containerd /etc/kubexm /var/lib/kubelet /var/lib/etcd /var/lib/kubexm; do
		[ ! -e $path ] || { echo "$path is left on $(hostname)"; exit 1; }
	done; echo "$(hostname): neither files nor data of Kubernetes, etcd, containerd, kubexm"'
	for node in node1 node2 node3 node4; do on "$node" "$look"; done
	of_the_system node1 | diff "$out.before" -
	echo 'node1: the packages, sources and lists that it had'
	cat <<-EOF

		Once more, to look around in a cluster:
		  cd $out/site && $lab enter ./kubexm install lab.tar.zst -f config.yaml
	EOF
else
	cat <<-EOF

		The demo ends before Kubernetes: what the lab's upstream has of it are stand-ins, which can be bundled, carried and
		checked like the real thing, and run nothing. Name a folder with the real programs to see it go on to a cluster:

		  KUBEXM_LAB_KUBE=FOLDER make demo            kubeadm kubelet kubectl kube-apiserver kube-controller-manager
		                                              kube-scheduler kube-proxy coredns pause, and a file VERSION
	EOF
fi

cat <<-EOF

	Look around:
	  tests/lab/lab ssh node1                     a shell on a node
	  tests/lab/lab enter                         a shell inside of the site, as the operator has it
	  $tree    the tree: certificates, images, programs, state/ with journal and reports
	  make lab-down                               ends the lab
EOF
