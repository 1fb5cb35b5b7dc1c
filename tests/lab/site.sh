# shellcheck shell=bash
# The site: one network namespace with a bridge in it and no other interface. The nodes hang on the bridge, the operator
# enters the namespace; what neither can do is leave it.

PREFIX4=172.30.0
PREFIX6=fd6b:7562:6578:
GATEWAY4=$PREFIX4.1
GATEWAY6=${PREFIX6}:1
BRIDGE=lab0
# Documentation's own network: a resolver that is asked in vain, so that every look-up of an outside name is counted.
RESOLVER=198.51.100.53

# Sysctls that have no namespace: a node that sets one sets it for the machine. They are put back when the site goes.
SHARED_SYSCTLS="fs.aio-max-nr fs.file-max fs.inotify.max_queued_events fs.inotify.max_user_instances
	fs.inotify.max_user_watches fs.nr_open kernel.keys.root_maxbytes kernel.keys.root_maxkeys kernel.panic
	kernel.panic_on_oops kernel.pid_max kernel.printk kernel.threads-max vm.max_map_count vm.overcommit_memory
	vm.panic_on_oom vm.swappiness"

# Nodes that lack what Kubernetes and load balancers need: a bundle has to bring it.
site_is_minimal() { [ "$(cat "$LAB_SITE/flavor" 2>/dev/null)" = minimal ]; }

# What stands in place of https://deb.debian.org: the archive of this machine's apt, up to its directory `debian`.
archive_host() { "$LAB_SRC/apt.sh" mirror | sed 's|/debian/*$||'; }

site_exists() { [ -e "$LAB_NETNS" ]; }

site_network_up() {
	local sysctls
	ip netns add "$LAB_ID"
	in_site sh -ec "
		sysctl -qw net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.all.disable_ipv6=0
		ip link set lo up
		ip link add $BRIDGE type bridge
		ip address add $GATEWAY4/24 dev $BRIDGE
		ip address add $GATEWAY6/64 dev $BRIDGE nodad
		ip link set $BRIDGE up
		# A route, so that an attempt to leave gets as far as the counters; behind it is nothing.
		ip route add default dev $BRIDGE
		ip -6 route add default dev $BRIDGE
		nft -f '$LAB_SRC/egress.nft'
	"
	# What goes from node to node over the bridge is not for the rules of this namespace.
	in_site sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
	# shellcheck disable=SC2086 # a list of names
	sysctls=$(sysctl -e $SHARED_SYSCTLS)
	printf '%s\n' "$sysctls" >"$LAB_SITE/sysctls"
}

# Keys and passwords are made anew for each site.
site_identity() {
	ssh-keygen -q -t ed25519 -N '' -C "operator@$LAB_ID" -f "$LAB_SITE/id_ed25519"
	openssl rand -hex 12 >"$LAB_SITE/password"
	chmod 0600 "$LAB_SITE/password"
	: >"$LAB_SITE/known_hosts"
}

# Ends whoever is still inside, nodes and operators alike: a namespace lives as long as its last process.
site_network_down() {
	site_exists || return 0
	until_true 30 site_kill_once || die "these processes will not leave the site: $(ip netns pids "$LAB_ID" | xargs)"
	ip netns delete "$LAB_ID" 2>/dev/null || rm -f "$LAB_NETNS"
	if [ -f "$LAB_SITE/sysctls" ]; then
		sysctl -q -p "$LAB_SITE/sysctls" 2>/dev/null || true
	fi
	# `ip netns add` mounts the directory on itself and nobody takes that back.
	if mountpoint -q /run/netns && [ -z "$(ls -A /run/netns)" ]; then
		umount /run/netns
	fi
}

site_kill_once() {
	local pids
	pids=$(ip netns pids "$LAB_ID" 2>/dev/null) || return 0
	[ -n "$pids" ] || return 0
	echo "$pids" | xargs -r kill -9 2>/dev/null || true
	return 1
}

# site_hosts key|password|sudo: the nodes as a config's `hosts:` block, by the way the operator is to log in.
site_hosts() {
	local name login
	echo "hosts:"
	for name in $(node_names); do
		node_addresses "$name"
		case $1 in
		key) login="user: root, privateKeyPath: \"$LAB_SITE/id_ed25519\"" ;;
		password) login="user: root, password: \"$(cat "$LAB_SITE/password")\"" ;;
		sudo) login="user: ops, password: \"$(cat "$LAB_SITE/password")\"" ;;
		*) die "hosts $1: there are key, password and sudo" ;;
		esac
		printf '  - {name: %s, address: %s, internalAddress: "%s,%s", %s, hostKey: "%s"}\n' \
			"$name" "$ADDRESS4" "$ADDRESS4" "$ADDRESS6" "$login" "$(cut -d' ' -f1,2 "$(node_dir "$name")/ssh_host_ed25519_key.pub")"
	done
}

site_egress() {
	local name
	for name in nodes operator; do
		echo "packets for outside of the site, from $name: $(site_packets "$name")"
	done
	echo "of nodes for services, past kube-proxy: $(site_packets services)"
	in_site nft -j list table inet egress | python3 -c '
import json, sys
for item in json.load(sys.stdin)["nftables"]:
    for element in item.get("set", {}).get("elem", []) if item.get("set", {}).get("name", "").startswith("asked") else []:
        source, target, protocol, port = element["concat"]
        print(f"  {source} asked for {target} {protocol} port {port}")'
	echo "to watch: nsenter --net=$LAB_NETNS tcpdump -ni $BRIDGE 'not (dst net $PREFIX4.0/24 or dst net ${PREFIX6}:/64 or multicast or arp)'"
}

# What one counter has seen.
site_packets() {
	in_site nft -j list counter inet egress "$1" | python3 -c '
import json, sys
print(next(o["counter"]["packets"] for o in json.load(sys.stdin)["nftables"] if "counter" in o))'
}

site_egress_reset() { in_site nft -f "$LAB_SRC/egress.nft"; }
