#!/usr/bin/env bash
# check.sh DIR GLIBC: no program in DIR asks for a newer glibc, or for any other library of the system, and each works in the
# oldest Debian that the archive of this machine still has.
set -euo pipefail
dir=$1 glibc=$2
here=$(cd "$(dirname "$0")" && pwd)

for program in "$dir"/kubexm-linux-*; do
	wanted=$(readelf --wide --version-info "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV)
	newest=$(tail -n 1 <<<"$wanted")
	if [ "$(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -n 1)" != "GLIBC_$glibc" ]; then
		echo "$program asks for $newest" >&2
		exit 1
	fi
	others=$(readelf --wide --dynamic "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Ev '^(libc|libm|libdl|libpthread|librt|libgcc_s|libutil)\.so\.[0-9]+$|^ld-linux-' || true)
	if [ -n "$others" ]; then
		echo "$program asks for $others" >&2
		exit 1
	fi
	echo "$program: $newest at most, $(stat -c %s "$program") bytes"
done

# Unpacked and not set up: there is a libc, a shell, and what these need.
old_root() {
	local arch=$1 root=$dir/roots/$1 suite
	for suite in buster bullseye bookworm; do
		[ ! -e "$root/$suite.whole" ] || return 0
		rm -rf --one-file-system "$root"
		mkdir -p "$root"
		if debootstrap --foreign --variant=minbase --arch="$arch" "$suite" "$root" "$("$here/../lab/apt.sh" mirror)" \
			>"$dir/roots/$arch.log" 2>&1; then
			touch "$root/$suite.whole"
			return 0
		fi
	done
	echo "debootstrap failed: see $dir/roots/$arch.log" >&2
	return 1
}

own=$(dpkg --print-architecture)
for arch in amd64 arm64; do
	program=$dir/kubexm-linux-$arch root=$dir/roots/$arch
	[ -e "$program" ] || continue
	old_root "$arch"
	suite=$(basename "$root"/*.whole .whole)
	config=$root/config.yaml
	rm -f "$config"
	if [ "$arch" = "$own" ]; then
		install -m 0755 "$program" "$root/kubexm"
		runs=(chroot "$root" /kubexm) config=/config.yaml
	elif emulator=$(command -v "qemu-$(readelf --wide --file-header "$program" | sed -n 's/.*Machine: *\(AArch64\).*/aarch64/p;s/.*X86-64.*/x86_64/p')-static"); then
		runs=("$emulator" -L "$root" "$program")
	else
		echo "$program: not started, there is no qemu-user-static here" >&2
		continue
	fi
	said=$("${runs[@]}" version)
	"${runs[@]}" config init -o "$config"
	"${runs[@]}" config validate -f "$config" >/dev/null
	echo "$program: works in $suite: $(head -n 1 <<<"$said")"
done
