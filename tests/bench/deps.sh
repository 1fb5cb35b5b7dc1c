#!/usr/bin/env bash
# What the benchmark needs: Debian's packages, and real programs to pack. Does nothing where all is there.
#
#   deps.sh DIR    the programs go into DIR/programs, one folder a component, as a bundle carries them
#
# Where KUBEXM_LAB_KUBE names a folder with a real kubeadm, kubelet and kubectl, those are packed; otherwise three other
# programs of about their size and kin stand in for them.
set -euo pipefail

dir=${1:?usage: deps.sh DIR}
packages=(time tar zstd skopeo docker-registry openssh-client openssh-server util-linux)
# Not installed, only taken apart.
carriers=(kubernetes-client containerd docker.io etcd-server etcd-client runc podman)

missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "bench: installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	# The packages' own sshd and registry are not wanted: no service is to start.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get -qq update
	apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

stamp="$(sha256sum <"${BASH_SOURCE[0]}" | cut -c1-16) ${KUBEXM_LAB_KUBE-}"
[ "$(cat "$dir/programs/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

echo "bench: fetching programs to pack: ${carriers[*]}" >&2
mkdir -p "$dir"
rm -rf "$dir/programs" "$dir/carriers"
mkdir -p "$dir"/carriers/root "$dir"/programs/{kubernetes,containerd,docker,etcd,runc,podman}
(
	cd "$dir/carriers"
	fetch() { apt-get -qq -o APT::Sandbox::User=root download "${carriers[@]}" >/dev/null; }
	fetch || { apt-get -qq update && fetch; }
	for package in *.deb; do dpkg-deb --extract "$package" root; done
)
root=$dir/carriers/root
programs=$dir/programs
if [ -n "${KUBEXM_LAB_KUBE-}" ]; then
	cp "$KUBEXM_LAB_KUBE"/{kubeadm,kubelet,kubectl} "$programs/kubernetes/"
else
	cp "$root/usr/bin/kubectl" "$programs/kubernetes/kubectl"
	cp "$root/usr/bin/containerd" "$programs/kubernetes/kubeadm"
	cp "$root/usr/sbin/dockerd" "$programs/kubernetes/kubelet"
fi
tar -C "$root/usr/bin" -czf "$programs/containerd/containerd.tar.gz" containerd ctr containerd-shim-runc-v2
tar -C "$root/usr" -czf "$programs/docker/docker.tgz" bin/docker sbin/dockerd
tar -C "$root/usr/bin" -czf "$programs/etcd/etcd.tar.gz" etcd etcdctl
cp "$root/usr/sbin/runc" "$programs/runc/"
cp "$root/usr/bin/podman" "$programs/podman/"
rm -rf "$dir/carriers"
echo "$stamp" >"$programs/stamp"
