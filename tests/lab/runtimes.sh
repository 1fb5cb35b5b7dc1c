# shellcheck shell=bash
# Real programs of CRI-O and cri-dockerd, which no package carries: from a folder, in the archives that their upstreams publish.

# Beside the others, and not with them: who has no such folder shares the same upstream.
runtimes_make() {
	local folder=${KUBEXM_LAB_RUNTIMES-}
	[ -n "$folder" ] || return 0
	take_cache
	runtimes_crio "$folder"
	runtimes_cri_dockerd "$folder"
	leave_cache
}

# runtimes_publish PATH-BELOW-WWW DIRECTORY-IN-THE-ARCHIVE PROGRAM...
runtimes_publish() {
	local to=$UPSTREAM_FILES/www/$1 inside=$2 work
	shift 2
	[ ! -e "$to" ] || return 0
	work=$(mktemp -d "$LAB_CACHE/runtimes.XXXXXX")
	mkdir -p "$work/$inside" "${to%/*}"
	cp -- "$@" "$work/$inside/"
	chmod 0755 "$work/$inside"/*
	tar --create --gzip --file "$to.part" --directory "$work" --sort=name --mtime=@0 --owner=0 --group=0 "${inside%%/*}"
	rm -rf "$work"
	mv "$to.part" "$to"
}

runtimes_crio() {
	local folder=$1 version file
	[ -f "$folder/crio" ] || return 0
	version=$("$folder/crio" --version | awk 'NR == 1 { print $3 }')
	file=storage.googleapis.com/cri-o/artifacts/cri-o.amd64.v$version.tar.gz
	# crun's library lies beside it.
	runtimes_publish "$file" cri-o/bin "$folder"/{crio,pinns,conmon,crun,libyajl.so.2}
	(cd "$UPSTREAM_FILES/www/${file%/*}" && sha256sum "${file##*/}" >"${file##*/}.sha256sum")
}

runtimes_cri_dockerd() {
	local folder=$1 version
	[ -f "$folder/cri-dockerd" ] || return 0
	version=$("$folder/cri-dockerd" --version 2>&1 | awk 'NR == 1 { print $2 }')
	runtimes_publish "github.com/Mirantis/cri-dockerd/releases/download/v$version/cri-dockerd-$version.amd64.tgz" \
		cri-dockerd "$folder/cri-dockerd"
}
