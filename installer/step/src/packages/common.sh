# Packages of a host's own system, installed from a repository of files and taken away again. Each half of it, for dpkg
# and for RPM, is read behind this by `sh -s -- VERB ...`:
#
#   look NAME VERSION ...      says what is amiss: `interrupted`, `absent NAME`, `older NAME VERSION`
#   begin NAME ...             notes, durably, what will be new and how the host is now
#   install REPLACED NAME ...  one call of the package manager, for which no other repository is there; of what is
#                              installed it may take away the packages named REPLACED (`a,b`), and nothing else
#   end                        units that came with packages are off, users that came are noted, the repository goes
#   pending                    says what came
#   remove                     what came goes, what was replaced comes back
#
# Before it stands `patience=SECONDS`: so long it waits for others who are at work with packages. What it says on stderr is
# for people; a line of it may begin with `hint: `. A call that was cut short leaves its notes in `open`; the next one goes on from there.
# One that has lost its operator may be at work still: who comes next waits for its end.
set -eu
umask 022
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
home=/var/lib/kubexm
repository=$home/packages
notes=$home/before/packages
log=$notes/log

# The host is at work with packages itself, and may be done soon.
busy=75
waited=0

say() { echo "$*" >&2; }

# in_use WHAT PID: waits a little; when patience is at an end, it tells for whom.
in_use() {
	if [ "$waited" -ge "$patience" ]; then
		who=$(tr '\0' ' ' <"/proc/${2:-none}/cmdline" 2>/dev/null || true)
		say "$1 is in use by process ${2:-of another}${who:+: ${who% }}"
		exit "$busy"
	fi
	sleep 2
	waited=$((waited + 2))
}

# holder FILE: the process that has it locked for writing.
holder() {
	inode=$(stat -c %i -- "$1" 2>/dev/null || echo none)
	sed -n "s/^.* WRITE \([0-9]*\) [^ ]*:$inode .*/\1/p" /proc/locks | head -n 1
}

lock_out_others() {
	mkdir -p -- "$home"
	exec 9<"$home"
	until flock -n 9; do in_use "$home" "$(cat -- "$notes/caller" 2>/dev/null)"; done
	[ ! -d "$notes" ] || echo $$ >"$notes/caller"
}

# call VERB ...: what it runs does not inherit the lock, so that no daemon keeps it.
call() {
	case $1 in look | pending) ;; *) lock_out_others ;; esac
	"$@" </dev/null 9<&-
}

# give_up: what the log has of the failure, in the words of whoever failed.
give_up() {
	if grep -q 'No space left on device\|more space on the' "$log"; then disk_is_full; fi
	said=$(told | grep . | head -n 8)
	say "${said:-$(grep . "$log" | tail -n 5)}"
	advise
	exit 1
}

in_the_way="hint: remove it by hand if nobody needs it, or do without what it is in the way of"

disk_is_full() {
	path=$(sed -n "s|.*[ '\"]\(/[^'\";:]*\).*No space left on device.*|\1|p" "$log" | tail -n 1)
	needs=$(sed -n 's/^.*package \(.* needs .* more space on the .* filesystem\).*/\1/p' "$log" | head -n 1)
	at=${path:-$repository}
	while [ ! -d "$at" ]; do at=${at%/*} && at=${at:-/}; done
	say "the disk is full: ${needs:-nothing more can be written to ${path:-$at}, on $(df --output=target -- "$at" | tail -n 1)}"
	say "hint: make room there, and run again"
	exit 1
}

# keep FILE: what is read becomes the file, whole or not at all.
keep() {
	cat >"$1.part"
	sync -- "$1.part"
	mv -fT -- "$1.part" "$1"
}

# system_names FILE LIMIT: the names in a file of /etc whose numbers are below what /etc/login.defs leaves to people.
system_names() {
	limit=$(sed -n "s/^[[:space:]]*$2[[:space:]]\{1,\}\([0-9]*\).*/\1/p" /etc/login.defs 2>/dev/null | tail -n 1)
	awk -F: -v limit="${limit:-1000}" '$3 + 0 < limit + 0 { print $1 }' "/etc/$1" | sort
}
system_users() { system_names passwd UID_MIN; }
system_groups() { system_names group GID_MIN; }
enabled_units() { systemctl list-unit-files --state=enabled --no-legend --no-pager --plain | cut -d' ' -f1 | sort; }
active_units() { systemctl list-units --state=active --no-legend --no-pager --plain | cut -d' ' -f1 | sort; }
all_units() { systemctl list-unit-files --no-legend --no-pager --plain | cut -d' ' -f1 | sort; }

# new_in NOTE COMMAND...: what the command says now and did not say when the call was begun.
new_in() {
	note=$notes/open/$1
	shift
	"$@" | comm -13 "$note" -
}

begin() {
	mkdir -p -- "$notes"
	if [ ! -d "$notes/open" ]; then
		rm -rf -- "$notes/open.part"
		mkdir -- "$notes/open.part"
		system_users >"$notes/open.part/users"
		system_groups >"$notes/open.part/groups"
		enabled_units >"$notes/open.part/enabled"
		all_units >"$notes/open.part/units"
		note_more
		echo "$format" | keep "$notes/format"
		mv -T -- "$notes/open.part" "$notes/open"
	fi
	note_call "$@"
	{
		cat -- "$notes/added" 2>/dev/null || true
		[ $# -eq 0 ] || how_to_remove "$@"
	} | sort -u -k 1,1 | keep "$notes/added"
	sync
}

# By the directories of systemd and of init's scripts, of which systemd makes units.
units_of_added() {
	files_of_added | sed -n -e 's|^\(/usr\)\{0,1\}/lib/systemd/system/\([^/]*\)$|\2|p' \
		-e 's|^/etc/systemd/system/\([^/]*\)$|\1|p' -e 's|^/etc/\(rc\.d/\)\{0,1\}init\.d/\([^/]*\)$|\2.service|p' | sort -u
}

# A unit that came with a package waits until somebody has configured it. After a call that was cut short, others may have
# brought units, too.
turn_off() {
	systemctl daemon-reload
	units_of_added >"$notes/open/ours"
	enabled=$(new_in enabled enabled_units | comm -12 - "$notes/open/ours")
	# shellcheck disable=SC2086 # a list of names
	[ -z "$enabled" ] || systemctl disable -- $enabled >>"$log" 2>&1
	active_units >"$notes/open/active"
	running=$(new_in units all_units | comm -12 - "$notes/open/active" | comm -12 - "$notes/open/ours")
	# shellcheck disable=SC2086 # a list of names
	[ -z "$running" ] || systemctl stop -- $running >>"$log" 2>&1
}

# What makes users: scripts, of packages that may not have come far, and what is for systemd-sysusers.
makers_of_users() {
	scripts_that_came
	files_of_added | grep '/sysusers\.d/' | while read -r file; do cat -- "$file" 2>/dev/null || true; done
}

# note_names NOTE COMMAND: the names that it says now and did not when the call was begun, if packages have them from
# what makes users. Others may have made users since, if it was cut short.
note_names() {
	makers_of_users >"$notes/open/makers"
	{
		cat -- "$notes/$1" 2>/dev/null || true
		new_in "$1" "$2" | while read -r name; do
			! grep -qwF -e "$name" -- "$notes/open/makers" || echo "$name"
		done
	} | sort -u | keep "$notes/$1"
}

end() {
	if [ -d "$notes/open" ]; then
		allow_starts
		if [ -d /run/systemd/system ]; then turn_off; fi
		note_names users system_users
		note_names groups system_groups
		rm -rf -- "$repository" "$log"
		rm -rf -- "$notes/open"
	fi
}

# Users of packages stay behind when the packages go.
remove_users() {
	for user in $(cat -- "$notes/users" 2>/dev/null || true); do
		! id -u -- "$user" >/dev/null 2>&1 || userdel -- "$user" >>"$log" 2>&1
	done
	for group in $(cat -- "$notes/groups" 2>/dev/null || true); do
		! grep -q "^$group:" /etc/group || groupdel -- "$group" >>"$log" 2>&1
	done
}

pending() {
	if [ -d "$notes/open" ]; then echo "an installation was cut short"; fi
	[ ! -e "$notes/added" ] || cut -d' ' -f1 "$notes/added"
}

# What tmpfiles.d of packages made would go with the next boot.
passing_directories() {
	files_of_added | grep '/tmpfiles\.d/' | while read -r file; do
		sed -n 's|^[dD]!\{0,1\}[[:space:]]*\(/run/[^[:space:]]*\).*|\1|p' "$file" 2>/dev/null || true
	done
}

remove() {
	[ -d "$notes" ] || return 0
	: >"$log"
	mend
	end
	: >"$log"
	passing=$(passing_directories)
	take_away
	for directory in $passing; do rm -rf --one-file-system -- "$directory"; done
	remove_users
	rm -rf -- "$notes"
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

# compared: reads `NAME VERSION` and, where one is installed, `FOUND`; a version of `-` is any.
compared() {
	while read -r name version found; do
		if [ -z "$found" ]; then
			echo "absent $name"
		elif [ "$version" != - ] && [ "$found" != "$version" ] && is_older "$found" "$version"; then
			echo "older $name $found"
		fi
	done
}

# names NAME VERSION ...
names() { printf '%s %s\n' "$@" | cut -d' ' -f1; }

look() {
	[ ! -d "$notes/open" ] || echo interrupted
	[ $# -gt 0 ] || return 0
	there=$(installed "$@" | sort -u -k 1,1)
	printf '%s %s\n' "$@" | sort -k 1,1 | join -a 1 - /dev/fd/3 3<<-EOF | compared
		$there
	EOF
}
