#!/bin/sh
# draining.sh PROGRAM: starts etcd, an apiserver and a controller manager on loopback, with three nodes and their pods as mere
# objects, and runs PROGRAM (the compiled draining.rs) before them. In a mount namespace of its own: nothing stays.
set -eu
[ "${inside-}" ] || exec env inside=yes unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
program=$(readlink -f "$1")
kube=${KUBEXM_LAB_KUBE%%:*}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/etc" "$dir/etc-work" "$dir/bin" "$dir/lib" "$dir/pki"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/etc-work" /etc
for name in kubectl etcd etcdctl etcdutl; do [ ! -e "$kube/$name" ] || cp "$kube/$name" "$dir/bin/"; done
mount --bind "$dir/bin" /usr/local/bin
mkdir -p /var/lib/kubexm
mount --bind "$dir/lib" /var/lib/kubexm
cd "$dir/pki"
mkdir -p /etc/kubernetes /etc/etcd
ln -s "$dir/pki" /etc/etcd/pki
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 1 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >ext
openssl req -newkey rsa:2048 -nodes -keyout healthcheck-client.key -out csr -subj /CN=all 2>/dev/null
openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -out healthcheck-client.crt -days 1 -extfile ext 2>/dev/null
echo 'secret,admin,admin,system:masters' >tokens
/usr/local/bin/etcd --data-dir "$dir/etcd" --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \
	--initial-cluster default=http://127.0.0.1:12380 --cert-file healthcheck-client.crt --key-file healthcheck-client.key \
	--client-cert-auth --trusted-ca-file ca.crt >"$dir/etcd.log" 2>&1 &
"$kube/kube-apiserver" --etcd-servers https://127.0.0.1:2379 --etcd-cafile ca.crt --etcd-certfile healthcheck-client.crt \
	--etcd-keyfile healthcheck-client.key --secure-port 16443 --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
	--tls-cert-file healthcheck-client.crt --tls-private-key-file healthcheck-client.key --token-auth-file tokens \
	--authorization-mode RBAC --service-account-issuer https://x --service-account-key-file ca.key --disable-admission-plugins ServiceAccount \
	--service-account-signing-key-file ca.key --service-cluster-ip-range 10.96.0.0/16 >"$dir/apiserver.log" 2>&1 &
cat >/etc/kubernetes/admin.conf <<END
apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: "https://127.0.0.1:16443", certificate-authority: $dir/pki/ca.crt}}]
users: [{name: x, user: {token: secret}}]
END
kubectl() { /usr/local/bin/kubectl --cache-dir "$dir/cache" --kubeconfig /etc/kubernetes/admin.conf "$@"; }
for _ in $(seq 60); do ! kubectl get --raw /readyz >/dev/null 2>&1 || break; sleep 1; done
kubectl get --raw /readyz >/dev/null || { tail -20 "$dir/apiserver.log" >&2; exit 1; }
"$kube/kube-controller-manager" --kubeconfig /etc/kubernetes/admin.conf --controllers disruption --leader-elect=false \
	--service-account-private-key-file ca.key >"$dir/kcm.log" 2>&1 &
# The kubelets of these nodes: what is deleted has ended.
while :; do
	kubectl get pods --all-namespaces --output 'jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.namespace} {.metadata.name}{"\n"}{end}' 2>/dev/null |
		while read -r namespace pod; do kubectl delete pod --namespace "$namespace" "$pod" --force --grace-period 0 >/dev/null 2>&1 || true; done
	sleep 1
done &
for node in w1 w2 w3; do
	printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s"}}' $node | kubectl create -f - >/dev/null
	kubectl patch node $node --subresource status --type merge --patch \
		'{"status":{"conditions":[{"type":"Ready","status":"True","reason":"x","message":"x"}]}}' >/dev/null
	# The apiserver keeps pods from every node that is new.
	kubectl patch node $node --type merge --patch '{"spec":{"taints":null}}' >/dev/null
done
# pod NAME NODE KIND
pod() {
	cat <<END | kubectl create -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: ${1%-*}}, ownerReferences: [{apiVersion: apps/v1, kind: $3, name: x, uid: x, controller: true}]}
spec: {nodeName: $2, terminationGracePeriodSeconds: 1, containers: [{name: x, image: x}]}
END
	kubectl patch pod "$1" --subresource status --type merge --patch \
		'{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null
}
printf '{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"guarded"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"guarded"}}}}' |
	kubectl create -f - >/dev/null
pod guarded-0 w1 ReplicaSet
pod free-0 w1 ReplicaSet
pod free-1 w2 ReplicaSet
sleep 5
"$program" --ignored --test-threads 1 --nocapture
