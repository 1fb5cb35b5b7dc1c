#!/usr/bin/env bash
# The file tree every node starts from: a small Debian as debootstrap makes it.
#
#   base.sh BASE FLAVOR        builds it where the cache has none, and prints where it is
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# libseccomp2: Debian links runc against it, where upstream's runc carries it.
MINIMAL=systemd,systemd-sysv,dbus,openssh-server,iproute2,procps,ca-certificates,sudo,iputils-ping,kmod,libseccomp2
# What nodes and load balancers need, as long as a bundle carries no packages.
# The nearest to a host with RPM that this archive has: its packages, asked of dnf, are those of another world.
RPM=$MINIMAL,dnf,rpm
FULL=$MINIMAL,conntrack,iptables,nftables,socat,ebtables,ipset,ethtool,haproxy,keepalived,nginx-light,libnginx-mod-stream

base=${1:?usage: base.sh debian-13|debian-12 full|minimal|rpm}
flavor=${2:?usage: base.sh debian-13|debian-12 full|minimal|rpm}

case $base in
debian-13) suite=trixie ;;
debian-12) suite=bookworm ;;
*) die "BASE=$base: there are debian-13 and debian-12" ;;
esac
case $flavor in
full) packages=$FULL ;;
minimal) packages=$MINIMAL ;;
rpm) packages=$RPM ;;
*) die "FLAVOR=$flavor: there are full, minimal and rpm" ;;
esac

build() {
	local build=$LAB_CACHE/base/.building-$base-$flavor log=$LAB_CACHE/base/$base-$flavor.log proxy=
	say "lab: building the base root $base ($flavor), once: a minute or two"
	mkdir -p "$LAB_CACHE/base"
	unmount_under "$build"
	rm -rf --one-file-system "$build" "$LAB_CACHE/base/$base-$flavor"-*
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	http_proxy=$proxy debootstrap --variant=minbase --include="$packages" \
		"$suite" "$build" "$("$LAB_SRC/apt.sh" mirror)" >"$log" 2>&1 || die "debootstrap failed: see $log"

	# Installed is not configured: as it is on a host where somebody else will say what they shall do.
	systemctl --root="$build" --quiet disable haproxy.service keepalived.service nginx.service 2>/dev/null || true
	chroot "$build" useradd --create-home --shell /bin/bash --groups sudo ops
	rm -rf "$build"/usr/share/{doc,man,info,locale}/* "$build"/var/cache/apt/* "$build"/var/lib/apt/lists/*
	# Each node gets its own: hosts that share an identity are a mistake that an installer has to find.
	rm -f "$build"/etc/ssh/ssh_host_* "$build"/etc/{hostname,hosts,resolv.conf} "$build/var/lib/dbus/machine-id"
	: >"$build/etc/machine-id"
	mv "$build" "$root"
}

# Another recipe, another root.
root=$LAB_CACHE/base/$base-$flavor-$(printf '%s %s %s' "$suite" "$packages" "$(declare -f build)" | sha256sum | cut -c1-12)
take_cache
[ -d "$root" ] || build
echo "$root"
