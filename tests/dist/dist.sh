#!/usr/bin/env bash
# kubexm for every Linux since glibc 2.17, for both architectures, built on one machine: zig is the compiler and linker that
# knows which symbols an old glibc has.
set -euo pipefail
cd "$(dirname "$0")/../.."
glibc=2.17
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/dist
venv=$target/zig

command -v rustup >/dev/null || {
	echo "dist: rustup is needed, for the standard library of the other architecture: https://rustup.rs" >&2
	exit 1
}
if ! [ -x "$venv/bin/cargo-zigbuild" ]; then
	echo "dist: installing zig" >&2
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet ziglang==0.17.1 cargo-zigbuild==0.24.1
fi
export PATH=$venv/bin:$PATH
mkdir -p "$out"

# arch Go's name, and Rust's.
for arch in amd64:x86_64 arm64:aarch64; do
	triple=${arch#*:}-unknown-linux-gnu
	rustup --quiet target add "$triple"
	cargo zigbuild --release --locked --package kubexm --target "$triple.$glibc"
	install -m 0755 "$target/$triple/release/kubexm" "$out/kubexm-linux-${arch%:*}"
done
tests/dist/check.sh "$out" "$glibc"
