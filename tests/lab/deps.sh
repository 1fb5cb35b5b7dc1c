#!/usr/bin/env bash
# Debian packages that the lab needs on this machine. Does nothing where all are there.
set -euo pipefail

packages=(
	# the site
	systemd-container debootstrap iproute2 nftables openssh-client openssl tcpdump procps kmod
	# the upstream
	nginx-light docker-registry skopeo gnupg python3 curl
	# stand-ins and pause, for both architectures
	gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	# what opens the keys of a backup
	age
)

missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "lab: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# The packages' own nginx and registry are not wanted: no service is to start.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
apt-get -qq update
apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}" >/dev/null
