# told_of NAME: what is to be told of a static pod whose container does not run: how it ended, its last line, or what the
# kubelet has said of it.
told_of() {
	id=$(crictl ps --all --quiet --label io.kubernetes.pod.namespace=kube-system \
		--label "io.kubernetes.container.name=$1" 2>/dev/null | head -n 1)
	if [ -n "$id" ]; then
		echo "$1 has no container that runs; the last one is $(crictl inspect --output go-template --template \
			'{{.status.state}}{{if .status.reason}} ({{.status.reason}}, {{.status.exitCode}}){{end}}, restarted {{.status.metadata.attempt}} times' \
			"$id" 2>/dev/null)"
		line=$(crictl logs --tail 1 "$id" 2>&1 | grep -v 'unable to retrieve container logs' | tail -n 1 | cut -c 1-400)
		[ -z "$line" ] || echo "  its last line: $line"
	else
		echo "$1 has no container yet"
	fi
	said=$(journalctl --no-pager --unit kubelet --lines 300 --output cat 2>/dev/null | grep -F -- "$1" |
		grep -E '^E[0-9]|rror|ailed' | tail -n 1 | cut -c 1-400)
	[ -z "$said" ] || echo "  the kubelet: $said"
}
