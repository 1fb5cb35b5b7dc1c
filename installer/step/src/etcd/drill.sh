# An etcd of one member on loopback, with what a snapshot holds. $etcd, $etcdctl, $etcdutl, $snapshot, $scratch and $seal
# are set. Prints what it counted.
set -eu
umask 077
rm -rf "$scratch"
mkdir -p "$scratch"
member=
clean() {
	# It passes the signal on to etcd.
	[ -z "$member" ] || {
		kill "$member" 2>/dev/null || true
		wait "$member" 2>/dev/null || true
	}
	rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 1' HUP INT PIPE TERM

field() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" | head -n 1; }
# Of what a program says at its end the line that counts; a store that cannot be read has it die with a long trace.
complain() {
	grep -m 1 -E '^(Error:|panic:|fatal error:|unexpected fault)' "$1" >&2 || tail -n 3 "$1" | cut -c 1-400 >&2
	exit 1
}

# What was unpacked for hosts is not there to be run here.
for program in "$etcd" "$etcdctl" "$etcdutl"; do
	[ -x "$program" ] || chmod u+x "$program"
done
status=$("$etcdutl" snapshot status "$snapshot" --write-out=json 2>"$scratch/log") || complain "$scratch/log"
revision=$(echo "$status" | field revision)
[ -n "$revision" ] || {
	echo "etcdutl does not tell the snapshot's revision: $status" >&2
	exit 1
}
"$etcdutl" snapshot restore "$snapshot" --name drill --data-dir "$scratch/data" $seal \
	--initial-cluster drill=http://127.0.0.1:1 --initial-advertise-peer-urls http://127.0.0.1:1 >"$scratch/log" 2>&1 || complain "$scratch/log"

# Ports that nobody uses, as far as can be told: the next try takes others.
try=0
while :; do
	try=$((try + 1))
	client=$((20000 + ($$ + try * 97) % 20000))
	peer=$((client + 1))
	timeout 1800 "$etcd" --name drill --data-dir "$scratch/data" --log-level warn --unsafe-no-fsync \
		--listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
		--listen-peer-urls "http://127.0.0.1:$peer" >"$scratch/etcd.log" 2>&1 &
	member=$!
	waited=0
	while kill -0 "$member" 2>/dev/null && [ "$waited" -lt 120 ]; do
		if "$etcdctl" --endpoints="http://127.0.0.1:$client" --command-timeout=2s endpoint health >/dev/null 2>&1; then
			break 2
		fi
		waited=$((waited + 1))
		sleep 0.5
	done
	if grep -q 'address already in use' "$scratch/etcd.log" && [ "$try" -lt 5 ]; then
		continue
	fi
	echo "etcd does not serve what the snapshot holds:" >&2
	tail -n 4 "$scratch/etcd.log" | cut -c 1-400 >&2
	exit 1
done

ask() { "$etcdctl" --endpoints="http://127.0.0.1:$client" --command-timeout=60s "$@"; }
# As etcdctl writes fields: "Count" : 30
told() { sed -n "s/^\"$1\" : \([0-9]*\)$/\1/p" | head -n 1; }
count() { ask get "$1" --prefix --count-only --write-out=fields | told Count; }
all=$(ask get '' --prefix --count-only --write-out=fields)
keys=$(echo "$all" | told Count)
served=$(echo "$all" | told Revision)
printf '{"revision":%s,"served":%s,"keys":%s,"namespaces":%s,"secrets":%s,"nodes":%s,"bytes":%s,"etcd":"%s"}\n' \
	"$revision" "${served:-0}" "${keys:-0}" "$(count /registry/namespaces/)" "$(count /registry/secrets/)" \
	"$(count /registry/minions/)" "$(stat -c %s "$snapshot")" \
	"$("$etcd" --version | sed -n 's/^etcd Version: //p')"
