#!/usr/bin/env bash
# setup.sh [build|dist|test]: what building needs, or building for older systems and another architecture, or (without a word)
# testing as well, beside the lab's packages. Does nothing where all is there.
set -euo pipefail

command -v cargo >/dev/null || {
	echo "kubexm is built with Rust 1.95 or newer: install it with rustup, https://rustup.rs" >&2
	exit 1
}

packages=(build-essential cmake)
# Programs that tests run on loopback or in a network of their own: sshd, sudo, ssh-keygen, containerd,
# systemd-analyze, ip, iptables; and those that judge files: the balancers, rpm's tools, and a browser.
testing=(openssh-server sudo containerd systemd iproute2 iptables haproxy keepalived nginx libnginx-mod-stream chrony zstd
	tar shellcheck time strace rpm createrepo-c dnf gnupg chromium)
purpose=${1:-test}
case $purpose in
build) ;;
dist) packages+=(python3-venv qemu-user-static) ;;
test) packages+=("${testing[@]}") ;;
*)
	echo "setup: there is nothing to set up for '$purpose': build, dist or test" >&2
	exit 2
	;;
esac
missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "setup: installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

[ "$purpose" = test ] || exit 0

# cargo TOOL VERSION: at least some version is good enough.
tool() {
	cargo "$1" --version >/dev/null 2>&1 || {
		echo "setup: building cargo-$1 $2" >&2
		cargo install --quiet --locked "cargo-$1" --version "$2"
	}
}
tool nextest 0.9.143
tool deny 0.20.2
