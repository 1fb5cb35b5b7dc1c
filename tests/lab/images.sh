# shellcheck shell=bash
# What somebody has built or fetched for addons: files and images from a folder, as upstreams have them.

# files/HOST/PATH is https://HOST/PATH; images/list has on each line an archive below images/ and the image's reference.
images_make() {
	local folder=${KUBEXM_LAB_IMAGES-}
	[ -n "$folder" ] || return 0
	take_cache
	[ ! -d "$folder/files" ] || cp -rL --update "$folder/files/." "$UPSTREAM_FILES/www/"
	[ ! -f "$folder/images/list" ] || images_push "$folder/images"
	leave_cache
}

images_push() {
	local folder=$1 archive reference
	mkdir -p "$LAB_UPSTREAM"
	(
		cgroup_enter fill-registry
		upstream_registry "$UPSTREAM_BUILD_PORT" false
	)
	until_true 30 registry_answers "$UPSTREAM_BUILD_PORT" || die "the registry does not start: see $LAB_UPSTREAM/registry.log"
	while read -r archive reference; do
		skopeo copy --quiet --dest-tls-verify=false \
			"docker-archive:$folder/$archive" "docker://127.0.0.1:$UPSTREAM_BUILD_PORT/$reference"
	done <"$folder/list"
	cgroup_end fill-registry
}
