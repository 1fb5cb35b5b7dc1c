# What on a node may stand in the way of its pods' network: a line for each, with its kind and its name. Called as
# `look [FILE]`, with the configuration of the network's own plugin. Changes nothing, and never fails.
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
exec 2>/dev/null </dev/null

# The runtime takes the first of them, by name.
others() {
	for file in "${1%/*}"/*.conf "${1%/*}"/*.conflist "${1%/*}"/*.json; do
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done | sort | while IFS= read -r file; do
		[ "$file" != "$1" ] || break
		if [ "$(printf '%s\n' "$file" "$1" | sort | head -n 1)" = "$file" ]; then printf 'config %s\n' "$file"; fi
	done
}

[ $# -eq 0 ] || others "$1"
! systemctl is-active --quiet firewalld || echo firewall firewalld
! ufw status | grep -q '^Status: active' || echo firewall ufw
[ "$(cat /proc/sys/net/ipv4/ip_forward)" != 0 ] || echo closed net.ipv4.ip_forward
! iptables -S FORWARD | grep -qx -e '-P FORWARD DROP' || echo drops FORWARD
exit 0
