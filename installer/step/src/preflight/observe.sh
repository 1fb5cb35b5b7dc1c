# Tells what a host is like, in sections. Called as `observe KIND NAME...`, for what is asked by name. Nothing in it fails
# the whole: what a host cannot tell is not said.
set -u
PATH=$PATH:/usr/local/bin:/usr/local/sbin:/usr/sbin:/sbin
exec 2>/dev/null </dev/null
section() { printf '\n@@kubexm %s\n' "$1"; }

# A disk of its own holds lost+found, which is nothing.
holds() { [ -f "$1" ] || [ -n "$(find "$1/" -mindepth 1 -maxdepth 1 ! -name lost+found | head -n 1)" ]; }

# Where a path leads to, and what kind of file system is there. Its last parts may be still to come.
place() {
	real=$(readlink -m -- "$1" || echo "$1")
	at=$real
	while [ ! -e "$at" ]; do
		at=${at%/*}
		at=${at:-/}
	done
	kind=$(stat -f -c %T -- "$at")
	if [ "$kind" = xfs ] && xfs_info "$at" | grep -q 'ftype=0'; then kind='xfs without ftype'; fi
	printf 'place\t%s\t%s\t%s\n' "$1" "$real" "$kind"
}

trace() {
	IFS=
	for path in $1; do
		! holds "$path" || printf 'trace\t%s\n' "$path"
	done
	unset IFS
}

unit() {
	systemctl show -p ActiveState -p UnitFileState -p FragmentPath -p ActiveEnterTimestampMonotonic -- "$1" | while IFS= read -r line; do
		printf 'unit\t%s\t%s\n' "$1" "$line"
	done
}

# What listens, and not what a process that is gone has left.
socket() { ! grep -q " 00010000 .* $1\$" /proc/net/unix || printf 'socket\t%s\n' "$1"; }

directory() { [ -d "$1" ] || printf 'absent\t%s\n' "$1"; }

# A program with its argument, and the first that it says.
program() {
	set -f
	# shellcheck disable=SC2086 # words
	set -- $1
	set +f
	command -v "$1" >/dev/null || return 0
	printf 'program\t%s\t%s\n' "$1" "$(timeout 10 "$@" 2>&1 | head -n 1)"
}

# The image of a static pod.
pod() { [ ! -f "$1" ] || printf 'pod\t%s\t%s\n' "$1" "$(sed -n 's/^ *image: *//p' "$1" | head -n 1)"; }

since() { [ ! -e "$1" ] || printf 'since\t%s\t%s\n' "$1" "$(stat -c %Y -- "$1")"; }

section clock
echo "$(date +%s) $(cut -d ' ' -f 1 /proc/uptime)"
section routes4
cat /proc/net/route
section routes6
cat /proc/net/ipv6_route
section accept_ra
grep -H . /proc/sys/net/ipv6/conf/*/accept_ra
section udp
cat /proc/net/udp /proc/net/udp6
section hosts
cat /etc/hosts
section cloud
if [ -d /etc/cloud ] && [ ! -e /etc/cloud/cloud-init.disabled ]; then
	grep -H '^[[:space:]]*manage_etc_hosts:' /etc/cloud/cloud.cfg /etc/cloud/cloud.cfg.d/*.cfg \
		/var/lib/cloud/instance/cloud-config.txt
fi
section asked
while [ $# -ge 2 ]; do
	case $1 in
	place) place "$2" ;;
	trace) trace "$2" ;;
	unit) unit "$2" ;;
	socket) socket "$2" ;;
	directory) directory "$2" ;;
	program) program "$2" ;;
	pod) pod "$2" ;;
	since) since "$2" ;;
	esac
	shift 2
done
exit 0
