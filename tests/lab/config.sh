# shellcheck shell=bash
# A whole config for the site that is up: the last node is the registry, up to three of the others are etcd.

# lab_config key|password|sudo
lab_config() {
	local nodes etcd
	mapfile -t nodes < <(node_names)
	[ ${#nodes[@]} -gt 0 ] || die "there is no site: 'lab up' first"
	local registry=${nodes[-1]} others=("${nodes[@]}")
	[ ${#nodes[@]} -eq 1 ] || unset 'others[-1]'
	# An odd number of members, as etcd wants it.
	etcd=("${others[@]:0:$((${#others[@]} < 3 ? 1 : 3))}")
	cat <<-EOF
		apiVersion: kubexm.mensylisir.io/v1alpha1
		kind: Cluster
		metadata:
		  name: lab
		spec:
	EOF
	site_hosts "$1" | sed 's/^/  /'
	cat <<-EOF
		  roleGroups:
		    etcd: [$(list "${etcd[@]}")]
		    master: [${others[0]}]
		    worker: [$(list "${others[@]}")]
		    registry: [$registry]
		  kubernetes:
		    version: $(upstream_stable)
		    containerRuntime:
		      type: containerd
		      version: $(upstream_newest containerd)
		      containerd:
		        # This machine may not lower an OOM score: without this no sandbox starts.
		        config:
		          plugins:
		            io.containerd.cri.v1.runtime:
		              restrict_oom_score_adj: true
		  etcd:
		    version: $(upstream_newest etcd)
		  registry:
		    version: $(upstream_newest registry)
		  versions:
		    runc: $(upstream_newest runc)
		    cni-plugins: $(upstream_newest cni-plugins)
		  images:
		    - docker.io/library/busybox:1.37
	EOF
}

list() {
	local joined
	printf -v joined '%s, ' "$@"
	echo "${joined%, }"
}
