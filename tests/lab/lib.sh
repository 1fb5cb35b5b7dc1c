# shellcheck shell=bash
# What every part of the lab shares: where things are, how it speaks, how it takes turns.

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_DIR=${KUBEXM_LAB_DIR:-/var/tmp/kubexm-lab}
LAB_CACHE=${KUBEXM_LAB_CACHE:-$LAB_DIR/cache}
LAB_PORT=${KUBEXM_LAB_PORT:-18480}

# One name for the network namespace and the cgroups: a second lab is another directory and another port.
LAB_ID=$(basename "$LAB_DIR")
LAB_SITE=$LAB_DIR/site
LAB_UPSTREAM=$LAB_DIR/upstream
LAB_NETNS=/run/netns/$LAB_ID

say() { printf '%s\n' "$*" >&2; }

die() {
	say "lab: $*"
	exit 1
}

need_root() { [ "$(id -u)" -eq 0 ] || die "must run as root: it starts whole systemd hosts"; }

# Two labs in one directory would end each other. What is started here must not inherit the lock: see `detached`.
take_turn() {
	mkdir -p "$LAB_DIR"
	exec 9>"$LAB_DIR/lock"
	flock -w 600 9 || die "another lab command holds $LAB_DIR/lock since ten minutes"
}

# The caches may be shared by several labs; two of them must not fill one at a time.
take_cache() {
	mkdir -p "$LAB_CACHE"
	exec 8>"$LAB_CACHE/lock"
	flock -w 1800 8 || die "another lab command fills $LAB_CACHE since half an hour"
}

leave_cache() { exec 8>&-; }

# Runs a command that outlives the lab command, without its locks and terminal; output goes to the file named first.
detached() {
	local log=$1
	shift
	setsid "$@" 8>&- 9>&- </dev/null >>"$log" 2>&1 &
}

in_site() { nsenter --net="$LAB_NETNS" -- "$@"; }

# until_true SECONDS COMMAND...: asks again and again, because nothing here tells when it is ready.
until_true() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# Deepest first. A debootstrap that was killed leaves /proc mounted in a half-built root.
unmount_under() {
	awk -v top="$1/" 'index($2 "/", top) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
		umount -l "$mount"
	done
}
