# What a host was like before kubexm changed it, and how it becomes so again. It is read by `sh -s -- BASE VERB ...`:
#
#   note KIND NAME ...      what was there is noted below BASE, once and for good, and durably before anything is changed
#   pending KIND NAME ...   says why there is something to take back, if there is
#   forget file NAME        the note goes, and the file stays as it is
#   restore KIND NAME ...   the host gets back what was noted, and the note goes
#   leave keep|purge        everything whose note is still there is restored; `keep` leaves data and its notes
#
# What has no note was there before, or was taken back already: it is left alone.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/sbin
base=$1
verb=$2
shift 2
stale_units=no

# keep NOTE: what is read becomes the note, whole or not at all, unless there is one.
keep() {
	if [ -e "$1" ]; then
		cat >/dev/null
		return 0
	fi
	mkdir -p -- "${1%/*}"
	cat >"$1.part"
	sync -- "$1.part"
	mv -fT -- "$1.part" "$1"
	sync -- "${1%/*}"
}

reload_units() {
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

above() {
	dir=${1%/*}
	echo "${dir:-/}"
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

# Directories that are missing on the way to this one will be made.
note_missing() {
	at=$1
	while [ ! -d "$at" ]; do
		keep "$base/paths$at/@made" </dev/null
		at=$(above "$at")
	done
}

# restore_missing PATH: it goes, and those above it, as far as kubexm made them and they are empty.
restore_missing() {
	at=$1
	while [ -e "$base/paths$at/@made" ] && [ ! -e "$base/paths$at/@data" ]; do
		if [ -d "$at" ]; then
			rmdir -- "$at" 2>/dev/null || return 0
		fi
		rm -f -- "$base/paths$at/@made"
		at=$(above "$at")
	done
}

note_file() {
	note=$base/paths$1
	if [ -e "$note/@absent" ] || is_there "$note/@was"; then
		return 0
	fi
	if is_there "$1"; then
		mkdir -p -- "$note"
		rm -rf -- "$note/@was.part"
		cp -aT -- "$1" "$note/@was.part"
		[ -L "$1" ] || sync -- "$note/@was.part"
		mv -fT -- "$note/@was.part" "$note/@was"
		sync -- "$note"
	else
		note_missing "$(above "$1")"
		keep "$note/@absent" </dev/null
	fi
}

pending_file() {
	if is_there "$base/paths$1/@was"; then
		echo "kubexm replaced $1"
	elif [ -e "$base/paths$1/@absent" ]; then
		echo "kubexm put $1 there"
	fi
}

# What an upload or another write that was killed has left beside a file. It goes before the note does.
sweep() {
	beside=$(above "$1")/.kubexm-${1##*/}
	rm -f -- "$1.kubexm-new" "$beside".???????? "$beside.kubexm-new".????????
}

restore_file() {
	note=$base/paths$1
	if is_there "$note/@was"; then
		sweep "$1"
		mkdir -p -- "$(above "$1")"
		rm -rf -- "$1.kubexm-was"
		cp -aT -- "$note/@was" "$1.kubexm-was"
		# The note is the only copy until the disk has this one.
		[ -L "$1.kubexm-was" ] || sync -- "$1.kubexm-was"
		mv -fT -- "$1.kubexm-was" "$1"
		sync -- "$(above "$1")"
		rm -f -- "$note/@was"
	elif [ -e "$note/@absent" ]; then
		sweep "$1"
		rm -f -- "$1"
		rm -f -- "$note/@absent"
		restore_missing "$(above "$1")"
	else
		return 0
	fi
	case $1 in /etc/systemd/system/*) stale_units=yes ;; esac
}

# Others have written to the file since.
forget_file() {
	sweep "$1"
	rm -f -- "$base/paths$1/@was" "$base/paths$1/@absent"
}

note_directory() {
	if [ -d "$1" ] && [ ! -e "$base/paths$1/@made" ]; then
		stat -L -c '%a %U:%G' -- "$1" | keep "$base/paths$1/@attrs"
	fi
	note_missing "$1"
}

pending_directory() {
	if [ -e "$base/paths$1/@attrs" ]; then
		echo "kubexm changed the mode or owner of $1"
	elif [ -e "$base/paths$1/@made" ]; then
		echo "kubexm made $1"
	fi
}

# One that somebody else has put something into stays; `leave` asks again.
restore_directory() {
	note=$base/paths$1
	if [ -e "$note/@attrs" ]; then
		read -r mode owner <"$note/@attrs"
		if [ -d "$1" ]; then
			chown -- "$owner" "$1"
			chmod -- "$mode" "$1"
		fi
		rm -f -- "$note/@attrs"
	fi
	restore_missing "$1"
	if [ -e "$note/@made" ]; then
		mv -fT -- "$note/@made" "$note/@stays"
	fi
}

# A directory that programs fill by themselves: it goes with all that is in it, if it was not there before.
note_tree() { note_missing "$1"; }

pending_tree() {
	if [ -e "$base/paths$1/@made" ]; then
		echo "$1 came with kubexm"
	fi
}

restore_tree() {
	if [ -e "$base/paths$1/@made" ]; then
		rm -rf --one-file-system -- "$1"
		restore_missing "$1"
	fi
}

# A directory of data: what was in it before stays, whatever came later goes.
note_data() {
	if [ -d "$1" ]; then ls -A -- "$1"; fi | keep "$base/paths$1/@data"
	note_directory "$1"
}

pending_data() {
	if [ -e "$base/paths$1/@data" ]; then
		echo "$1 holds data of the cluster"
	fi
}

restore_data() {
	note=$base/paths$1/@data
	[ -e "$note" ] || return 0
	if [ -d "$1" ]; then
		ls -A -- "$1" | while IFS= read -r name; do
			grep -qxF -e "$name" -- "$note" || rm -rf --one-file-system -- "$1/$name"
		done
	fi
	rm -f -- "$note"
	restore_directory "$1"
}

note_unit() {
	{
		systemctl is-enabled -- "$1" 2>/dev/null || true
		systemctl is-active -- "$1" 2>/dev/null || true
	} | keep "$base/units/$1"
}

pending_unit() {
	if [ -e "$base/units/$1" ]; then
		echo "kubexm runs $1"
	fi
}

# A service that ran before starts again when its own files are back: `leave` sees to that.
restore_unit() {
	note=$base/units/$1
	[ -e "$note" ] || return 0
	systemctl disable --now -- "$1" 2>/dev/null || systemctl stop -- "$1" 2>/dev/null || true
	if [ "$(systemctl is-active -- "$1" 2>/dev/null)" = active ]; then
		echo "$1 does not stop" >&2
		exit 1
	fi
	systemctl reset-failed -- "$1" 2>/dev/null || true
	rm -f -- "$base/../services/$1"
	if grep -qx -e enabled -e active -- "$note"; then
		mkdir -p -- "$base/units-before"
		mv -fT -- "$note" "$base/units-before/$1"
	else
		rm -f -- "$note"
	fi
}

note_user() {
	id -u -- "$1" >/dev/null 2>&1 || keep "$base/users/$1" </dev/null
	grep -q "^$1:" /etc/group || keep "$base/groups/$1" </dev/null
}

pending_user() {
	if [ -e "$base/users/$1" ] || [ -e "$base/groups/$1" ]; then
		echo "kubexm made the user $1"
	fi
}

restore_user() {
	if [ -e "$base/users/$1" ]; then
		! id -u -- "$1" >/dev/null 2>&1 || userdel -- "$1"
		rm -f -- "$base/users/$1"
	fi
	if [ -e "$base/groups/$1" ]; then
		! grep -q "^$1:" /etc/group || groupdel -- "$1"
		rm -f -- "$base/groups/$1"
	fi
}

sysctl_path() { echo "/proc/sys/$(echo "$1" | tr . /)"; }

note_sysctl() {
	path=$(sysctl_path "$1")
	if [ -r "$path" ]; then
		keep "$base/sysctls/$1" <"$path"
	fi
}

pending_sysctl() {
	if [ -e "$base/sysctls/$1" ]; then
		echo "kubexm set $1"
	fi
}

# One that is gone went with its module.
restore_sysctl() {
	note=$base/sysctls/$1
	[ -e "$note" ] || return 0
	path=$(sysctl_path "$1")
	if [ -w "$path" ] && ! cmp -s -- "$note" "$path"; then
		cat -- "$note" >"$path"
	fi
	rm -f -- "$note"
}

note_module() {
	[ -d "/sys/module/$1" ] || keep "$base/modules/$1" </dev/null
}

pending_module() {
	if [ -e "$base/modules/$1" ]; then
		echo "kubexm loaded $1"
	fi
}

# One that is in use by now stays loaded: somebody else needs it, and the next boot forgets it.
restore_module() {
	[ -e "$base/modules/$1" ] || return 0
	modprobe -r -- "$1" 2>/dev/null || true
	rm -f -- "$base/modules/$1"
}

note_swap() {
	tail -n +2 /proc/swaps | keep "$base/swap"
}

pending_swap() {
	if [ -e "$base/swap" ]; then
		echo "kubexm turned it off"
	fi
}

# A device that is gone cannot be swapped to any more, and that is nobody's fault.
restore_swap() {
	[ -e "$base/swap" ] || return 0
	if [ -f /etc/fstab ]; then
		replace /etc/fstab sed 's/^# kubexm: //' /etc/fstab
	fi
	while read -r device _; do
		grep -q "^$device[[:space:]]" /proc/swaps || swapon -- "$device" || true
	done <"$base/swap"
	rm -f -- "$base/swap"
}

note_hostname() {
	keep "$base/hostname" </proc/sys/kernel/hostname
}

pending_hostname() {
	if [ -e "$base/hostname" ]; then
		echo "it was $(cat -- "$base/hostname")"
	fi
}

restore_hostname() {
	[ -e "$base/hostname" ] || return 0
	cat -- "$base/hostname" >/proc/sys/kernel/hostname
	rm -f -- "$base/hostname"
}

# each KIND DIRECTORY: restores everything of a kind whose notes lie in a directory.
each() {
	[ -d "$base/$2" ] || return 0
	ls -A -- "$base/$2" | while IFS= read -r name; do
		case $name in *.part) ;; *) "restore_$1" "$name" ;; esac
	done
}

# each_path KIND NOTE: the same for what is noted by path, the deepest first.
each_path() {
	[ -d "$base/paths" ] || return 0
	find "$base/paths" -name "$2" | LC_ALL=C sort -r | while IFS= read -r note; do
		path=${note#"$base/paths"}
		"restore_$1" "${path%/*}"
	done
}

leave() {
	each unit units
	each_path file @was
	each_path file @absent
	each_path directory @attrs
	restore_swap
	each sysctl sysctls
	each module modules
	restore_hostname
	if [ "$1" = purge ]; then
		each_path data @data
		each user users
		each user groups
	fi
	if [ -d "$base/paths" ]; then
		# They may be empty by now.
		find "$base/paths" -name @stays | while IFS= read -r note; do
			mv -fT -- "$note" "${note%/*}/@made"
		done
		find "$base/paths" -name @made | LC_ALL=C sort -r | while IFS= read -r note; do
			path=${note#"$base/paths"}
			restore_missing "${path%/*}"
		done
	fi
	reload_units
	if [ -d "$base/units-before" ]; then
		ls -A -- "$base/units-before" | while IFS= read -r name; do
			# What somebody has taken off the host since cannot run again.
			systemctl cat -- "$name" >/dev/null 2>&1 || : >"$base/units-before/$name"
			! grep -qx enabled -- "$base/units-before/$name" || systemctl enable -- "$name"
			! grep -qx active -- "$base/units-before/$name" || systemctl start -- "$name"
			rm -f -- "$base/units-before/$name"
		done
	fi
	home=${base%/*}
	if [ "$1" = purge ]; then
		rm -rf --one-file-system -- "$home"
	elif [ -d "$home" ]; then
		find "$home" -mindepth 1 -maxdepth 1 ! -path "$base" -exec rm -rf --one-file-system -- {} +
		find "$home" -depth -type d -empty -delete
	fi
}

if [ "$verb" = leave ]; then
	leave "$1"
	exit
fi
while [ $# -gt 0 ]; do
	"${verb}_$1" "$2"
	shift 2
done
[ "$stale_units" = no ] || reload_units
