# shellcheck shell=bash
# The Internet, as far as a bundle needs it: files and a registry on one loopback port, outside of the site.

UPSTREAM_REGISTRY_PORT=$((LAB_PORT + 1))
UPSTREAM_BUILD_PORT=$((LAB_PORT + 2))
UPSTREAM_URL=http://127.0.0.1:$LAB_PORT
# One without and others with real Kubernetes: neither is made again because the other was used.
UPSTREAM_FILES=$LAB_CACHE/upstream${KUBEXM_LAB_KUBE:+-kube}
case ${KUBEXM_LAB_KUBE-} in
*:*:*) UPSTREAM_FILES=${UPSTREAM_FILES}s-of-more ;;
*:*) UPSTREAM_FILES=${UPSTREAM_FILES}s ;;
esac

KUBE_PROGRAMS="kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy crictl coredns pause VERSION"

# One folder, or several with a colon between them: each is another version.
kube_folders() { tr : '\n' <<<"${KUBEXM_LAB_KUBE-}"; }

kube_check() {
	local name folder
	for folder in $(kube_folders); do
		for name in $KUBE_PROGRAMS; do
			[ -f "$folder/$name" ] || die "$folder of KUBEXM_LAB_KUBE has no $name; it must hold: $KUBE_PROGRAMS"
		done
	done
}

# What was made from other sources, or for another Kubernetes, is made again.
upstream_stamp() {
	{
		find "$LAB_SRC/upstream" -type f ! -name versions.py | sort | xargs cat
		local folder
		for folder in $(kube_folders); do
			(cd "$folder" && pwd && stat -c '%n %s %Y' -- *)
		done
	} | sha256sum | cut -c1-16
}

upstream_make() {
	take_cache
	upstream_make_once
	leave_cache
}

upstream_make_once() {
	local stamp
	kube_check
	stamp=$(upstream_stamp)
	[ "$(cat "$UPSTREAM_FILES/stamp" 2>/dev/null)" != "$stamp" ] || return 0
	cgroup_end fill
	cgroup_end fill-registry
	say "lab: filling the upstream from Debian's packages, once: a few minutes"
	"$LAB_SRC/apt.sh" update
	rm -rf "$UPSTREAM_FILES"
	unmount_under "$LAB_CACHE/upstream-work"
	mkdir -p "$UPSTREAM_FILES"/{www,registry} "$LAB_UPSTREAM"
	(
		cgroup_enter fill
		exec python3 -B "$LAB_SRC/upstream/fill.py" --apt "$LAB_SRC/apt.sh" --debs "$LAB_CACHE/debs" \
			--out "$UPSTREAM_FILES" --work "$LAB_CACHE/upstream-work" $(kube_folders | sed 's/^./--kube &/')
	)
	upstream_push
	rm -rf "$LAB_CACHE/upstream-work"
	echo "$stamp" >"$UPSTREAM_FILES/stamp"
}

# upstream_registry PORT READONLY
upstream_registry() {
	local config=$LAB_UPSTREAM/registry-$1.yml
	cat >"$config" <<-EOF
		version: 0.1
		log: {level: warn, accesslog: {disabled: true}}
		storage:
		  filesystem: {rootdirectory: $UPSTREAM_FILES/registry}
		  maintenance: {uploadpurging: {enabled: false}, readonly: {enabled: $2}}
		http: {addr: "127.0.0.1:$1", relativeurls: true, secret: none}
	EOF
	detached "$LAB_UPSTREAM/registry.log" docker-registry serve "$config"
}

registry_answers() { curl -fs -o /dev/null "http://127.0.0.1:$1/v2/"; }

# The images were built as one OCI layout; skopeo brings them in as it would bring them anywhere.
upstream_push() {
	local layout=$LAB_CACHE/upstream-work/oci
	(
		cgroup_enter fill-registry
		upstream_registry "$UPSTREAM_BUILD_PORT" false
	)
	until_true 30 registry_answers "$UPSTREAM_BUILD_PORT" || die "the registry does not start: see $LAB_UPSTREAM/registry.log"
	# Each line: format (oci, v2s2) and reference. Upstreams of both kinds exist, so both are here.
	xargs -P 4 -L 1 "$LAB_SRC/push-image" "$layout" "127.0.0.1:$UPSTREAM_BUILD_PORT" <"$LAB_CACHE/upstream-work/images.list"
	cgroup_end fill-registry
}

upstream_running() { ! cgroup_is_empty upstream; }

upstream_start() {
	upstream_running && return 0
	mkdir -p "$LAB_UPSTREAM"
	if curl -s -o /dev/null "$UPSTREAM_URL"; then
		die "port $LAB_PORT is taken: set KUBEXM_LAB_PORT"
	fi
	(
		cgroup_enter upstream
		upstream_registry "$UPSTREAM_REGISTRY_PORT" true
		upstream_nginx_config >"$LAB_UPSTREAM/nginx.conf"
		detached "$LAB_UPSTREAM/nginx.log" nginx -p "$LAB_UPSTREAM" -c "$LAB_UPSTREAM/nginx.conf" -e "$LAB_UPSTREAM/nginx.log"
	)
	until_true 30 registry_answers "$LAB_PORT" || die "the upstream does not start: see $LAB_UPSTREAM/*.log"
}

# The access log is for tests: which file, how it was answered, from where on.
upstream_nginx_config() {
	cat <<-EOF
		user root;
		worker_processes 2;
		daemon off;
		pid $LAB_UPSTREAM/nginx.pid;
		events { worker_connections 1024; }
		http {
		  log_format requests '\$request_method \$uri \$status \$body_bytes_sent "\$http_range"';
		  access_log $LAB_UPSTREAM/access.log requests;
		  default_type application/octet-stream;
		  sendfile on;
		  client_body_temp_path $LAB_UPSTREAM/tmp; proxy_temp_path $LAB_UPSTREAM/tmp; fastcgi_temp_path $LAB_UPSTREAM/tmp;
		  uwsgi_temp_path $LAB_UPSTREAM/tmp; scgi_temp_path $LAB_UPSTREAM/tmp;
		  server {
		    listen 127.0.0.1:$LAB_PORT;
		    root $UPSTREAM_FILES/www;
		    location /v2/ {
		      limit_except GET { deny all; }
		      proxy_pass http://127.0.0.1:$UPSTREAM_REGISTRY_PORT;
		      proxy_set_header Host \$http_host;
		      proxy_buffering off;
		    }
		  }
		}
	EOF
}

upstream_stop() { cgroup_end upstream; }

upstream_show() {
	cat <<-EOF
		upstream:  $UPSTREAM_URL/HOST/PATH, images at 127.0.0.1:$LAB_PORT/HOST/REPOSITORY
		bundle:    kubexm bundle -f config.yaml --mirror '*=$UPSTREAM_URL'
		requests:  $LAB_UPSTREAM/access.log
		stand-ins: $UPSTREAM_FILES/stand-ins.txt
	EOF
}

# The newest real release of a component that runs on the site's nodes.
upstream_newest() {
	python3 -B "$LAB_SRC/upstream/versions.py" "$UPSTREAM_FILES" --newest "$1" --base "$(cat "$LAB_SITE/base")"
}

upstream_stable() { cat "$UPSTREAM_FILES/www/dl.k8s.io/release/stable.txt"; }

# What there is, and on which base it runs: a program built for a newer libc is of no use on an older node.
upstream_versions() {
	upstream_make
	python3 -B "$LAB_SRC/upstream/versions.py" "$UPSTREAM_FILES" "$@"
}
