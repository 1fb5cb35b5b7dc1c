#!/usr/bin/env bash
# Debian's archive as the lab sees it: the address this machine's own apt uses, several suites, two architectures.
#
#   apt.sh mirror                          the address
#   apt.sh update                          reads the suites' lists
#   apt.sh download SUITE DIR PKG:ARCH...  fetches packages that DIR does not hold yet; prints "PKG:ARCH<TAB>FILE"
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APT=$LAB_CACHE/apt
SUITES="trixie sid bookworm"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

mirror() {
	local codename uri
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	# shellcheck disable=SC2016 # these are apt's placeholders
	uri=$(apt-get indextargets 'Created-By: Packages' --format '$(REPO_URI) $(RELEASE)' |
		awk -v release="$codename" '$2 == release { print $1; exit }')
	[ -n "$uri" ] || die "apt on this machine names no archive for its own release, $codename"
	echo "$uri"
}

# The lists and packages are the lab's own; proxies and certificates stay those of the machine.
lab_apt() {
	"$@" -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$APT/sources" -o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null -o "Dir::State::Lists=$APT/lists" -o "Dir::Cache=$APT/cache" \
		-o Dir::Cache::pkgcache=pkgcache.bin -o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
}

update() {
	mkdir -p "$APT"/{sources,lists/partial,cache/archives/partial}
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$(mirror)" "$SUITES" "$KEYRING" >"$APT/sources/lab.sources"
	lab_apt apt-get -qq update ||
		die "the archive of this machine's apt does not carry all of: $SUITES (is it pinned to a snapshot?)"
}

download() {
	local suite=$1 dir=$2 name file
	shift 2
	mkdir -p "$dir"
	local missing=() wanted=()
	for name; do wanted+=("$name/$suite"); done
	local uris
	uris=$(lab_apt apt-get -qq download --print-uris "${wanted[@]}")
	for name; do
		file=$(awk -v pkg="${name%:*}_" -v arch="_${name#*:}.deb" \
			'index($2, pkg) == 1 && substr($2, length($2) - length(arch) + 1) == arch { print $2; exit }' <<<"$uris")
		[ -n "$file" ] || die "$suite has no package $name"
		[ -e "$dir/$file" ] || missing+=("$name/$suite")
		printf '%s\t%s\n' "$name" "$dir/$file"
	done
	if [ ${#missing[@]} -gt 0 ]; then
		# apt writes straight to the final name: a cut must not leave a half package there.
		rm -rf "$dir/.partial" && mkdir "$dir/.partial"
		(cd "$dir/.partial" && lab_apt apt-get -qq download "${missing[@]}")
		mv "$dir"/.partial/*.deb "$dir/"
		rmdir "$dir/.partial"
	fi
}

case ${1-} in
mirror) mirror ;;
update) update ;;
download) shift && download "$@" ;;
*) die "usage: apt.sh mirror | update | download SUITE DIR PKG:ARCH..." ;;
esac
