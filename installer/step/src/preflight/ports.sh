# Tells who listens at these TCP ports: `PORT<tab>NAME (process PID, UNIT)`. Nothing of a port that nobody is found for.
for port in "$@"; do
	hex=$(printf '%04X' "$port")
	inodes=$(awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { print $10 }' \
		/proc/net/tcp /proc/net/tcp6 2>/dev/null)
	for inode in $inodes; do
		file=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$inode\\]" 2>/dev/null | head -n 1)
		[ -n "$file" ] || continue
		pid=${file#/proc/}
		pid=${pid%%/*}
		unit=$(sed -n 's|.*/\([^/]*\.service\).*|, \1|p' "/proc/$pid/cgroup" 2>/dev/null | head -n 1)
		printf '%s\t%s (process %s%s)\n' "$port" "$(cat "/proc/$pid/comm" 2>/dev/null)" "$pid" "$unit"
		break
	done
done
