# shellcheck shell=bash
# A node: a copy of the base root, booted by systemd-nspawn.

NODE_QUIRKS=$LAB_SRC/quirks

node_dir() { echo "$LAB_SITE/nodes/$1"; }

node_names() { [ ! -d "$LAB_SITE/nodes" ] || find "$LAB_SITE/nodes" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -V; }

node_known() { [ -d "$(node_dir "$1")" ] || die "there is no node $1: $(node_names | xargs)"; }

# Sets ADDRESS4 and ADDRESS6: node1 has the addresses that end in 11.
node_addresses() {
	local number=${1#node}
	ADDRESS4=$PREFIX4.$((number + 10))
	ADDRESS6=${PREFIX6}:$((number + 10))
}

# Everything that is true only because the host is a container on a machine with few rights.
node_answer_quirks() {
	local root=$1
	install -D -m 0644 "$NODE_QUIRKS"/lab-*.service -t "$root/etc/systemd/system"
	install -D -m 0755 "$NODE_QUIRKS/lab-cgroups" "$NODE_QUIRKS/lab-network" -t "$root/usr/local/libexec"
	install -D -m 0644 "$NODE_QUIRKS/no-oom-score.conf" "$root/etc/systemd/system/service.d/50-lab-no-oom-score.conf"
	install -D -m 0644 "$NODE_QUIRKS/sshd.conf" "$root/etc/ssh/sshd_config.d/50-lab.conf"
	systemctl --root="$root" --quiet enable lab-cgroups.service lab-network.service ssh.service
	# shellcheck disable=SC2046 # a list of names
	systemctl --root="$root" --quiet mask $(grep -v '^#' "$NODE_QUIRKS/masked-units")
}

node_make() {
	local name=$1 base=$2 dir root shadow
	dir=$(node_dir "$name")
	root=$dir/root
	mkdir -p "$dir"
	node_addresses "$name"

	cp -a "$base" "$root"
	node_answer_quirks "$root"
	echo "$name" >"$root/etc/hostname"
	# As Debian's installer writes it; without a line of its own sudo would look the host's name up outside.
	printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n' "$name" >"$root/etc/hosts"
	printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$RESOLVER" >"$root/etc/resolv.conf"
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	printf 'ADDRESS4=%s/24\nADDRESS6=%s/64\nGATEWAY4=%s\nGATEWAY6=%s\n' \
		"$ADDRESS4" "$ADDRESS6" "$GATEWAY4" "$GATEWAY6" >"$root/etc/lab-network"

	ssh-keygen -q -t ed25519 -N '' -C "root@$name" -f "$dir/ssh_host_ed25519_key"
	install -m 0600 "$dir/ssh_host_ed25519_key" "$root/etc/ssh/"
	install -m 0644 "$dir/ssh_host_ed25519_key.pub" "$root/etc/ssh/"
	install -D -m 0600 "$LAB_SITE/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
	install -D -m 0600 "$LAB_SITE/id_ed25519.pub" "$root/home/ops/.ssh/authorized_keys"
	chown -R --reference="$root/home/ops" "$root/home/ops/.ssh"
	shadow=$(openssl passwd -6 -stdin <"$LAB_SITE/password")
	sed -i -E "s|^(root\|ops):[^:]*|\1:$shadow|" "$root/etc/shadow"

	printf '%s,%s,%s %s\n' "$name" "$ADDRESS4" "$ADDRESS6" "$(cut -d' ' -f1,2 "$dir/ssh_host_ed25519_key.pub")" \
		>>"$LAB_SITE/known_hosts"
}

node_start() {
	local name=$1 dir
	dir=$(node_dir "$name")
	cgroup_is_empty "$name" || return 0
	cgroup_end "$name"
	(
		cgroup_enter "$name"
		# Without this systemd-nspawn mounts /proc/sys read-only and no installer could set a sysctl.
		export SYSTEMD_NSPAWN_API_VFS_WRITABLE=1
		# PID 1 of this machine is not systemd, so nobody can register a machine or make a scope for it.
		# `nsenter` and not `ip netns exec`, which remounts /sys: nspawn then finds no cgroups.
		# With --keep-unit systemd-nspawn ends with 133 where a machine is to boot again, for systemd to start it anew; and it
		# does not find its own directory again where that is on a disk.
		mkdir -p /run/systemd/nspawn
		detached "$dir/console.log" nsenter --net="$LAB_NETNS" -- unshare --mount sh -c \
			'mount -t tmpfs lab /run/systemd/nspawn && while systemd-nspawn "$@"; [ $? -eq 133 ]; do :; done' nspawn --quiet --boot \
			--directory="$dir/root" --machine="$name" --register=no --keep-unit --settings=no --link-journal=no \
			--resolv-conf=off --timezone=off --network-bridge="$BRIDGE" --capability=all \
			--system-call-filter="@keyring bpf" --bind=/dev/kmsg
	)
}

# How the lab itself talks to a node; the host key is checked as everywhere.
node_ssh() {
	local name=$1
	shift
	node_addresses "$name"
	in_site ssh -n -F none -i "$LAB_SITE/id_ed25519" -o UserKnownHostsFile="$LAB_SITE/known_hosts" \
		-o StrictHostKeyChecking=yes -o BatchMode=yes -o ConnectTimeout=2 -o LogLevel=ERROR "root@$ADDRESS4" "$@"
}

node_answers() {
	cgroup_is_empty "$1" && die "$1 ended while it booted: see $(node_dir "$1")/console.log"
	node_ssh "$1" true 2>/dev/null
}

# Waits for sshd, then for the end of the boot, and tells which units failed.
node_wait() {
	local name=$1 state
	until_true 120 node_answers "$name" || die "$name does not answer on ssh: see $(node_dir "$name")/console.log"
	state=$(node_ssh "$name" systemctl is-system-running --wait || true)
	[ "$state" = running ] ||
		say "lab: $name is $state: $(node_ssh "$name" systemctl --failed --plain --no-legend | cut -d' ' -f1 | xargs)"
}

node_stop() {
	node_ssh "$1" systemctl poweroff || true
	until_true 60 cgroup_is_empty "$1" || say "lab: $1 does not power off; ending it"
	cgroup_end "$1"
}

node_state() {
	if cgroup_is_empty "$1"; then
		echo down
	elif in_site ip -brief link show "vb-$1" 2>/dev/null | grep -q ' DOWN '; then
		echo cut
	elif node_ssh "$1" true 2>/dev/null; then
		echo up
	else
		echo silent
	fi
}
