# Takes Kubernetes off a node. Only what bears its names, or those of a network plugin, goes; tables are never flushed.
# Called as `node DATA...`, with directories of data to remove as well, or as `data DATA...` to remove these alone.
set -u
export PATH="/usr/local/bin:/usr/sbin:/sbin:$PATH"
failed=
complain() { echo "$*" >&2; failed=yes; }

# Where a path leads to: somebody may have put a link there, to where there is room.
place() { readlink -f "$1" || echo "$1"; }

# holders PATH: the processes that have something open there, or stand there. Nothing is asked of the file system itself, which
# may not answer.
holders() {
	pids=$(find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd -maxdepth 1 \
		\( -lname "$1" -o -lname "$1/*" \) 2>/dev/null | cut -d/ -f3 | sort -un | head -n 5)
	told=
	for pid in $pids; do
		told="$told, $(cat "/proc/$pid/comm" 2>/dev/null) (process $pid)"
	done
	[ -z "$told" ] || echo ": it is held by ${told#, }"
}

# A server that is gone never answers: the second takes the mount off the tree, and asks nobody.
unmount() { timeout -k 5 20 umount "$1" 2>/dev/null || timeout -k 5 20 umount -l "$1" 2>/dev/null; }

# What is still mounted is somebody's data: it is not walked into. A link stays, with the directory that it leads to.
empty() {
	emptied=$(place "$1")
	[ ! -d "$emptied" ] || find "$emptied" -xdev -mindepth 1 -delete || complain "$1 cannot be emptied"
	rmdir "$1" 2>/dev/null
}

what=$1
shift
if [ "$what" = data ]; then
	for directory in "$@"; do empty "$directory"; done
	[ -z "$failed" ]
	exit
fi

# Its unit says where the kubelet keeps pods, if elsewhere than usual: of its flags the last one counts.
root=$(sed -n 's/.*--root-dir=\([^" ]*\).*/\1/p' /etc/systemd/system/kubelet.service \
	/etc/systemd/system/kubelet.service.d/*.conf 2>/dev/null | tail -n 1)
root=${root:-/var/lib/kubelet}

systemctl disable --now kubelet 2>/dev/null

if timeout 30 crictl info >/dev/null 2>&1; then
	for pod in $(timeout 30 crictl pods --quiet); do
		timeout 60 crictl stopp "$pod" >/dev/null 2>&1
		timeout 60 crictl rmp --force "$pod" >/dev/null 2>&1
	done
	# One that has ended may stay for want of a network that its plugin could take back. It goes with the runtime.
	running=$(timeout 30 crictl pods --quiet --state Ready | wc -l)
	[ "$running" = 0 ] || complain "pods do not go away: $running"
fi
systemctl stop kubepods.slice 2>/dev/null
for group in /sys/fs/cgroup/kubepods* /sys/fs/cgroup/*/kubepods*; do
	[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
done

# Deepest first. The directory itself may be a disk of its own, and stays one.
kubelet=$(place "$root")
cut -d' ' -f2 /proc/self/mounts | LC_ALL=C sort -r | while IFS= read -r mount; do
	mount=$(printf '%b' "$mount")
	case $mount in "$kubelet"/*) unmount "$mount" ;; esac
done
stuck=$(cut -d' ' -f2 /proc/self/mounts | awk -v below="$kubelet/" 'index($0, below) == 1' | head -n 1)
if [ -n "$stuck" ]; then
	complain "$stuck is mounted and cannot be unmounted$(holders "$stuck"); what is below $kubelet is left as it is"
	exit 1
fi
# Somebody may have named a directory that holds more than the kubelet's.
if [ "$root" != /var/lib/kubelet ]; then
	for name in actuated_pods_state allocated_pods_state checkpoints cpu_manager_state device-plugins \
		dra_manager_state memory_manager_state pki plugins plugins_registry pod-resources pods usernamespaces; do
		if [ -d "$root/$name" ]; then empty "$root/$name"; else rm -f "$root/$name"; fi
	done
	rmdir "$root" 2>/dev/null
fi
for directory in /var/lib/kubelet /etc/kubernetes /var/lib/cni /var/log/pods /var/log/containers \
	/var/lib/calico /var/run/calico /run/flannel /var/lib/kubexm/kubeadm "$@"; do
	empty "$directory"
done
rm -f /etc/cni/net.d/10-calico.conflist /etc/cni/net.d/calico-kubeconfig /etc/cni/net.d/10-flannel.conflist \
	/run/kubexm-kubeadm.lock /run/kubexm-kubeadm.log /run/kubexm-join.yaml
# What a join that was killed has left.
if grep -q '# kubexm: while joining$' /etc/hosts; then
	replace /etc/hosts sed '/# kubexm: while joining$/d' /etc/hosts || complain "/etc/hosts is as it was while joining"
fi

ours='(KUBE-|CNI-|cali-|FLANNEL-)'
for family in iptables ip6tables; do
	command -v "$family-save" >/dev/null || continue
	for table in raw mangle nat filter; do
		"$family-save" -t "$table" 2>/dev/null | awk -v table="$table" -v ours="$ours" '
			/^:/ { chain = substr($1, 2); if (chain ~ "^" ours) chains[++n] = chain }
			/^-A/ {
				bare = $0
				gsub(/"([^"\\]|\\.)*"/, "", bare)
				if ($2 !~ "^" ours && bare ~ " -[jg] " ours) { sub(/^-A/, "-D"); rules[++m] = $0 }
			}
			END {
				if (n + m == 0) exit
				print "*" table
				for (i = 1; i <= m; i++) print rules[i]
				for (i = 1; i <= n; i++) print "-F " chains[i]
				for (i = 1; i <= n; i++) print "-X " chains[i]
				print "COMMIT"
			}' | {
			commands=$(cat)
			[ -z "$commands" ] || echo "$commands" | "$family-restore" --noflush
		} || complain "rules of $table cannot be removed with $family"
	done
done
if command -v nft >/dev/null; then
	for table in "ip kube-proxy" "ip6 kube-proxy" "ip flannel-ipv4" "ip6 flannel-ipv6"; do
		# The family and the name are two words.
		# shellcheck disable=SC2086
		nft delete table $table 2>/dev/null
	done
fi
if command -v ipvsadm >/dev/null && [ -e /sys/class/net/kube-ipvs0 ]; then
	addresses=$(ip -o address show dev kube-ipvs0 | awk '{ sub("/.*", "", $4); print $4 }')
	ipvsadm -Sn | awk '/^-A/ { print $2, $3 }' | while read -r protocol service; do
		address=$(echo "${service%:*}" | tr -d '[]')
		! echo "$addresses" | grep -qxF "$address" || ipvsadm -D "$protocol" "$service"
	done
fi

if command -v ip >/dev/null; then
	# tunl0 belongs to the kernel; only Calico's address goes.
	if ls -d /sys/class/net/cali* >/dev/null 2>&1 && [ -e /sys/class/net/tunl0 ]; then
		ip address flush dev tunl0
		ip link set tunl0 down
	fi
	for path in /sys/class/net/cni0 /sys/class/net/kubexm0 /sys/class/net/flannel.1 /sys/class/net/flannel-v6.1 \
		/sys/class/net/vxlan.calico /sys/class/net/vxlan-v6.calico /sys/class/net/kube-ipvs0 /sys/class/net/cali*; do
		[ ! -e "$path" ] || ip link delete "${path##*/}" || complain "the interface ${path##*/} cannot be removed"
	done
fi
if command -v ipset >/dev/null; then
	ipset list -n 2>/dev/null | grep -E '^(KUBE-|cali[46])' | while read -r set; do ipset destroy "$set"; done
fi
[ -z "$failed" ]
