# What a container runtime has at work on a node. Read by `sh -s -- PHASE RUNTIME SOCKET DATA [KUBELET]`: `containers` ends them
# while the runtime runs, `leftovers` ends and unmounts what it leaves when it has been stopped, and `remains` what the kubelet
# has mounted in its directory as well. Whatever is gone already is no error.
set -u
PATH=/usr/local/bin:/usr/local/sbin:$PATH:/usr/sbin:/sbin
phase=$1 runtime=$2 socket=$3 data=$4 root=${5-/var/lib/kubelet}

# Pods first, so that the plugins of their networks take back what they set up.
pods() {
	[ -S "$socket" ] && command -v crictl >/dev/null || return 0
	timeout 300 crictl --runtime-endpoint "unix://$socket" rmp --all --force >/dev/null 2>&1 || true
}

# Others would lose their runtime.
refuse() {
	[ -n "$1" ] || return 0
	echo "containers that are not of Kubernetes run in $runtime:$1; stop them first" >&2
	return 1
}

containerd_containers() {
	[ -S "$socket" ] || return 0
	for task in $(timeout 30 ctr -n k8s.io tasks ls -q 2>/dev/null); do
		timeout 30 ctr -n k8s.io tasks rm --force "$task" >/dev/null 2>&1 || true
	done
	for container in $(timeout 30 ctr -n k8s.io containers ls -q 2>/dev/null); do
		timeout 30 ctr -n k8s.io containers rm "$container" >/dev/null 2>&1 || true
	done
	others=
	for namespace in $(timeout 30 ctr namespaces ls -q 2>/dev/null); do
		[ "$namespace" != k8s.io ] || continue
		[ -z "$(timeout 30 ctr -n "$namespace" tasks ls -q 2>/dev/null)" ] || others="$others namespace $namespace"
	done
	refuse "$others"
}

crio_containers() { :; }

docker_containers() {
	docker() { timeout 60 /usr/local/bin/docker --host unix:///run/docker.sock "$@"; }
	[ -S /run/docker.sock ] || return 0
	for container in $(docker ps --all --quiet --filter label=io.kubernetes.pod.uid 2>/dev/null); do
		docker rm --force --volumes "$container" >/dev/null 2>&1 || true
	done
	refuse "$(docker ps --format ' {{.Names}}' 2>/dev/null | tr -d '\n')"
}

containers() {
	pods
	case $runtime in
	containerd) containerd_containers ;;
	cri-o) crio_containers ;;
	docker) docker_containers ;;
	esac
}

# What watches over a container and outlives its runtime: of Kubernetes alone.
watchers() {
	for program in /proc/[0-9]*/exe; do
		pid=${program#/proc/}
		pid=${pid%/exe}
		exe=$(readlink "$program" 2>/dev/null) || continue
		case $runtime:${exe% (deleted)} in
		containerd:/usr/local/bin/containerd-shim-runc-v2) sign='-namespace k8s\.io ' ;;
		docker:/usr/local/bin/containerd-shim-runc-v2) sign='-namespace moby ' ;;
		cri-o:/usr/local/libexec/crio/conmon*) sign='' ;;
		*) continue ;;
		esac
		! tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -e "$sign" || echo "$pid"
	done
}

# Whom a process has started: the fourth field, behind a name that may hold anything.
children() {
	for stat in /proc/[0-9]*/stat; do
		parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "$stat" 2>/dev/null) || continue
		if [ "$parent" = "$1" ]; then
			pid=${stat#/proc/}
			echo "${pid%/stat}"
		fi
	done
}

mounts() {
	# A mount is known by where it is, whatever links lead there.
	kubelet=$(readlink -f -- "$root" || echo "$root")
	data=$(readlink -f -- "$data" || echo "$data")
	cut -d' ' -f2 /proc/mounts | LC_ALL=C sort -r | while IFS= read -r path; do
		path=$(printf '%b' "$path")
		case $runtime:$path in
		*:"$kubelet"/*) [ "$phase" = remains ] || continue ;;
		*:/run/netns/cni-*) ;;
		containerd:/run/containerd/*) ;;
		cri-o:/run/crio/* | cri-o:"$data"/* | cri-o:/run/netns/* | cri-o:/run/ipcns/* | cri-o:/run/utsns/*) ;;
		cri-o:/run/userns/* | cri-o:/run/pidns/*) ;;
		docker:/run/docker/* | docker:"$data"/*) ;;
		*) continue ;;
		esac
		umount -- "$path" || umount -l -- "$path" || exit
	done
}

# The names of namespaces that nothing is mounted on any more, and the directory, which is mounted on itself to be shared.
namespaces() {
	for kind in netns ipcns utsns userns pidns; do
		[ -d /run/$kind ] || continue
		case $kind:$runtime in
		netns:cri-o | ipcns:* | utsns:* | userns:* | pidns:*)
			for name in /run/$kind/*-*-*-*-*; do
				grep -qs -F " $name " /proc/mounts || rm -f -- "$name"
			done
			;;
		*) rm -f -- /run/netns/cni-* ;;
		esac
		if [ -z "$(ls -A /run/$kind)" ]; then
			umount /run/$kind 2>/dev/null || true
			rmdir /run/$kind 2>/dev/null || true
		fi
	done
}

leftovers() {
	for pid in $(watchers); do
		# shellcheck disable=SC2046 # words
		kill -9 $(children "$pid") "$pid" 2>/dev/null || true
	done
	mounts || exit
	namespaces
}

remains() { leftovers; }

"$phase"
