# Takes away the containers of a node. Read by `sh -s -- containers` while containerd runs, and by `sh -s -- remains`
# when it has been stopped. Whatever is gone already is no error.
set -u
PATH=/usr/local/bin:/usr/local/sbin:$PATH:/usr/sbin:/sbin
socket=/run/containerd/containerd.sock
shim=/usr/local/bin/containerd-shim-runc-v2

containers() {
	[ -S "$socket" ] || return 0
	# Pods first, so that the plugins of their networks take back what they set up.
	if command -v crictl >/dev/null; then
		timeout 300 crictl --runtime-endpoint "unix://$socket" rmp --all --force >/dev/null 2>&1 || true
	fi
	for task in $(timeout 30 ctr -n k8s.io tasks ls -q 2>/dev/null); do
		timeout 30 ctr -n k8s.io tasks rm --force "$task" >/dev/null 2>&1 || true
	done
	for container in $(timeout 30 ctr -n k8s.io containers ls -q 2>/dev/null); do
		timeout 30 ctr -n k8s.io containers rm "$container" >/dev/null 2>&1 || true
	done
	# Other namespaces are others': they would lose their containerd.
	others=
	for namespace in $(timeout 30 ctr namespaces ls -q 2>/dev/null); do
		[ "$namespace" != k8s.io ] || continue
		[ -z "$(timeout 30 ctr -n "$namespace" tasks ls -q 2>/dev/null)" ] || others="$others $namespace"
	done
	if [ -n "$others" ]; then
		echo "containers that are not of Kubernetes run in containerd, in its namespaces$others: stop them first" >&2
		return 1
	fi
}

# Those of Kubernetes alone.
shims() {
	for program in /proc/[0-9]*/exe; do
		case $(readlink "$program" 2>/dev/null) in
		"$shim" | "$shim (deleted)")
			pid=${program#/proc/}
			pid=${pid%/exe}
			if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -e '-namespace k8s\.io '; then
				echo "$pid"
			fi
			;;
		esac
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
	kubelet=$(readlink -f -- /var/lib/kubelet || echo /var/lib/kubelet)
	cut -d' ' -f2 /proc/mounts | LC_ALL=C sort -r | while IFS= read -r path; do
		path=$(printf '%b' "$path")
		case $path in
		/run/containerd/* | "$kubelet"/* | /run/netns/cni-*) umount -- "$path" || umount -l -- "$path" || exit ;;
		esac
	done
}

remains() {
	for pid in $(shims); do
		kill -9 $(children "$pid") "$pid" 2>/dev/null || true
	done
	mounts || exit
	rm -f -- /run/netns/cni-*
	# The plugins' library mounts the directory on itself to share it.
	if [ -d /run/netns ] && [ -z "$(ls -A /run/netns)" ]; then
		umount /run/netns 2>/dev/null || true
		rmdir /run/netns 2>/dev/null || true
	fi
}

"$1"
