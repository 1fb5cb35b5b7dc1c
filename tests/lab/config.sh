# shellcheck shell=bash
# A whole config for the site that is up.

# lab_config key|password|sudo small|ha kubexm|kubeadm
#
#   small  the first node is the master, the last the registry, up to three are etcd; all but the registry are workers
#   ha     three masters with etcd, then workers, two load balancers, the registry
lab_config() {
	local login=$1 topology=$2 type=$3 nodes checks=
	[ "$type" != kubeadm ] || checks=$'\n    # The kernel does not tell how it was built.\n    ignorePreflightErrors: [SystemVerification]'
	mapfile -t nodes < <(node_names)
	[ ${#nodes[@]} -gt 0 ] || die "there is no site: 'lab up' first"
	cat <<-EOF
		apiVersion: kubexm.mensylisir.io/v1alpha1
		kind: Cluster
		metadata:
		  name: lab
		spec:
	EOF
	site_hosts "$login" | sed 's/^/  /'
	case $topology in
	small) config_small "${nodes[@]}" ;;
	ha) config_ha "${nodes[@]}" ;;
	*) die "topology $topology: there are small and ha" ;;
	esac
	! site_is_minimal || cat <<-EOF
		  # What the nodes lack comes with the bundle; one of them tells the others the time.
		  system:
		    os: [$(cat "$LAB_SITE/base")]
		    ntpServers: [${nodes[0]}]
	EOF
	cat <<-EOF
		  kubernetes:
		    type: $type$checks
		    version: $(upstream_stable)
		    proxyMode: iptables
		    # The nodes of the lab have cgroup v1, and the machine's disk, however full it is.
		    kubeletConfiguration:
		      failCgroupV1: false
		      evictionHard: {nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
		    # And no right to raise the machine's connection tracking.
		    kubeProxyConfiguration: {conntrack: {maxPerCore: 0}}
		    containerRuntime:
		      type: containerd
		      version: $(upstream_newest containerd)
		      containerd:
		        # This machine may not lower an OOM score: without this no sandbox starts.
		        config:
		          plugins:
		            io.containerd.cri.v1.runtime:
		              restrict_oom_score_adj: true
		  network:
		    plugin: bridge
		  # The site's own resolver, which knows no name; the nodes' resolver is outside, where each question is counted.
		  dns: {coredns: {upstreamDNSServers: [$PREFIX4.1]}}
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

config_small() {
	local registry=${!#} others=("$@") etcd
	[ $# -eq 1 ] || unset 'others[-1]'
	# An odd number of members, as etcd wants it.
	etcd=("${others[@]:0:$((${#others[@]} < 3 ? 1 : 3))}")
	cat <<-EOF
		  roleGroups:
		    etcd: [$(list "${etcd[@]}")]
		    master: [${others[0]}]
		    worker: [$(list "${others[@]}")]
		    registry: [$registry]
	EOF
}

config_ha() {
	[ $# -ge 7 ] || die "topology ha: it needs 7 nodes or more, and there are $#"
	local workers=("${@:4:$#-6}") balancers=("${@:$#-2:2}")
	cat <<-EOF
		  roleGroups:
		    etcd: [$(list "${@:1:3}")]
		    master: [$(list "${@:1:3}")]
		    worker: [$(list "${workers[@]}")]
		    loadbalancer: [$(list "${balancers[@]}")]
		    registry: [${!#}]
		  controlPlaneEndpoint:
		    externalLoadBalancer: kubexm
		    lb_address: $PREFIX4.100
	EOF
}

list() {
	local joined
	printf -v joined '%s, ' "$@"
	echo "${joined%, }"
}
