#!/usr/bin/env bash
# check.sh DIR GLIBC: no program in DIR asks for a newer glibc, or for any other library of the system, and each starts.
set -euo pipefail
dir=$1 glibc=$2

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
"$dir/kubexm-linux-$(dpkg --print-architecture)" version
