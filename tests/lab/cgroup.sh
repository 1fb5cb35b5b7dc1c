# shellcheck shell=bash
# Each part of the lab lives in a cgroup of its own, in every hierarchy: a node then has its own cgroup root, and whatever
# it started can be found and ended, also when nobody remembers a process id any more.

cgroup_hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts; }

# Moves the calling shell, and with it what it starts, into the group.
cgroup_enter() {
	local hierarchy group
	for hierarchy in $(cgroup_hierarchies); do
		for group in "$hierarchy/$LAB_ID" "$hierarchy/$LAB_ID/$1"; do
			mkdir -p "$group"
			# A new cpuset group is empty and takes no process.
			if [ -e "$group/cpuset.cpus" ] && [ -e "$hierarchy/tasks" ]; then
				cat "$(dirname "$group")/cpuset.cpus" >"$group/cpuset.cpus"
				cat "$(dirname "$group")/cpuset.mems" >"$group/cpuset.mems"
			fi
		done
		# A group weighs as much as one process beside it, and this one has whole hosts in it.
		[ ! -e "$hierarchy/$LAB_ID/cpu.shares" ] || echo 16384 >"$hierarchy/$LAB_ID/cpu.shares"
		[ ! -e "$hierarchy/$LAB_ID/cpu.weight" ] || echo 1600 >"$hierarchy/$LAB_ID/cpu.weight"
		echo "$BASHPID" >"$hierarchy/$LAB_ID/$1/cgroup.procs"
	done
}

# The processes of a group, or of the whole lab where no group is named.
cgroup_processes() {
	local hierarchy
	for hierarchy in $(cgroup_hierarchies); do
		find "$hierarchy/$LAB_ID${1:+/$1}" -name cgroup.procs -exec cat {} + 2>/dev/null
	done | sort -un
}

# A process that moves from a group that is not read yet into one that has been is seen in neither, as while a node boots:
# only what is empty twice is empty.
cgroup_is_empty() { [ -z "$(cgroup_processes "${1-}")" ] && [ -z "$(cgroup_processes "${1-}")" ]; }

cgroup_kill_once() {
	cgroup_is_empty "${1-}" && return 0
	# A process may end by itself between the question and the signal.
	cgroup_processes "${1-}" | xargs -r kill -9 2>/dev/null || true
	return 1
}

# Ends every process of the group and removes it.
cgroup_end() {
	local hierarchy
	until_true 30 cgroup_kill_once "${1-}" || die "these processes cannot be ended: $(cgroup_processes "${1-}" | xargs)"
	for hierarchy in $(cgroup_hierarchies); do
		[ ! -d "$hierarchy/$LAB_ID${1:+/$1}" ] || find "$hierarchy/$LAB_ID${1:+/$1}" -depth -type d -exec rmdir {} +
	done
}
