
# The half for dpkg and apt.
format=deb
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true

# Neither the node's own settings nor its sources, lists and caches take part. Every package was verified before it came
# here, so nobody asks for a signature.
settings() {
	cat >"$repository/apt.conf" <<-EOF
		Dir::Etc::main "/dev/null";
		Dir::Etc::parts "/dev/null";
		Dir::Etc::sourcelist "$repository/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$repository/apt/lists";
		Dir::Cache "$repository/apt/cache";
		Acquire::Languages "none";
		Acquire::Check-Date "false";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		APT::Install-Suggests "false";
		APT::Get::Assume-Yes "true";
		DPkg::Use-Pty "false";
		DPkg::Options { "--force-confdef"; "--force-confold"; };
		DPkg::Lock::Timeout "$patience";
	EOF
	echo "deb [trusted=yes] file:$repository ./" >"$repository/sources.list"
	mkdir -p "$repository/apt/lists/partial" "$repository/apt/cache/archives/partial"
	mkdir -p "$repository/tmp"
	chmod 1777 "$repository/tmp"
	# What apt leaves behind when it is killed goes with the repository.
	export APT_CONFIG="$repository/apt.conf" TMPDIR="$repository/tmp"
}

# installed NAME VERSION ...: those of the names that are, with the version that is there.
installed() {
	own=$(dpkg --print-architecture)
	# shellcheck disable=SC2016,SC2046 # dpkg's placeholders, and a list of names
	dpkg-query -W -f '${Package} ${Architecture} ${db:Status-Status} ${Version}\n' $(names "$@") 2>/dev/null |
		while read -r name arch status version; do
			case $arch/$status in
			"$own/installed" | all/installed) echo "$name $version" ;;
			esac
		done
}

# apt keeps there what came by itself, and makes the file even if there is nothing to keep.
states=/var/lib/apt/extended_states

note_more() { [ -e "$states" ] || : >"$notes/no-states"; }

note_call() { :; }

# Nothing has come if they are gone.
scripts_that_came() {
	for file in "$repository"/*.deb; do
		[ ! -e "$file" ] || dpkg-deb --ctrl-tarfile "$file" | tar -xO || true
	done
}

files_of_added() { cut -d' ' -f1 "$notes/added" | xargs -r dpkg-query -L 2>/dev/null || true; }

is_older() { dpkg --compare-versions "$1" lt "$2"; }

# Configuration that an earlier removal left is the host's own, and stays.
how_to_remove() {
	for name; do
		case $(dpkg-query -W -f '${db:Status-Status}' -- "$name" 2>/dev/null || true) in
		config-files) echo "$name remove" ;;
		*) echo "$name purge" ;;
		esac
	done
}

# dpkg may have been cut short, or be in use.
mend() {
	until dpkg --configure -a --force-confdef --force-confold >>"$log" 2>&1; do
		grep -q 'locked by' "$log" || return 0
		in_use dpkg "$(sed -n 's/.*locked by .* pid \([0-9]*\).*/\1/p' "$log" | tail -n 1)"
		: >"$log"
	done
}

# What Debian's packages ask before they start, stop or restart a service.
policy=/usr/sbin/policy-rc.d

# What was there before is noted, durably, until it is back.
forbid_starts() {
	if [ ! -d "$notes/policy" ]; then
		rm -rf -- "$notes/policy.part"
		mkdir -- "$notes/policy.part"
		if [ -e "$policy" ] || [ -L "$policy" ]; then cp -aT -- "$policy" "$notes/policy.part/was"; fi
		mv -T -- "$notes/policy.part" "$notes/policy"
		sync
	fi
	printf '#!/bin/sh\n# Put here by kubexm while it installs packages.\nexit 101\n' >"$policy.kubexm-new"
	chmod 755 "$policy.kubexm-new"
	mv -fT -- "$policy.kubexm-new" "$policy"
}

allow_starts() {
	[ -d "$notes/policy" ] || return 0
	rm -rf -- "$policy.kubexm-new"
	if [ -e "$notes/policy/was" ] || [ -L "$notes/policy/was" ]; then
		cp -aT -- "$notes/policy/was" "$policy.kubexm-new"
		mv -fT -- "$policy.kubexm-new" "$policy"
	else
		rm -f -- "$policy"
	fi
	sync
	rm -rf -- "$notes/policy.part"
	mv -T -- "$notes/policy" "$notes/policy.part"
	rm -rf -- "$notes/policy.part"
}

# No service starts until this script ends. Where it is killed, apt may be at work still, and the next call sees its end.
# A reader who is gone must not kill it.
without_starts() {
	while pid=$(holder /var/lib/dpkg/lock-frontend) && [ -n "$pid" ]; do in_use dpkg "$pid"; done
	trap allow_starts EXIT
	trap 'exit 1' PIPE
	forbid_starts
}

apt() {
	apt-get -q "$@" >>"$log" 2>&1 || {
		# Where apt was killed, dpkg may be at work still.
		[ $? -lt 128 ] || trap - EXIT
		if grep -q 'Could not get lock\|Unable to acquire' "$log"; then
			grep '^E: ' "$log" >&2
			exit "$busy"
		fi
		give_up
	}
}

# told: what was said from the last step on until dpkg failed; otherwise apt's errors.
told() {
	awk '
		/^(Selecting|Preparing|Unpacking|Setting up|Processing triggers|Removing|Purging|\(Reading)/ { before = ""; next }
		/^dpkg: error processing/ { print before $0; failed = 1; why = 1; next }
		why { print; why = 0 }
		{ before = before $0 "\n" }
		/^E: / { errors = 1 }
		errors { all = all $0 "\n" }
		END { if (!failed) print all }
	' "$log"
}

advise() {
	held=$(sed -n 's/^Package: //p' "$repository/Packages" 2>/dev/null | xargs apt-mark showhold 2>/dev/null | tr '\n' ' ')
	[ -z "$held" ] || say "hint: on hold is ${held% }: let it be upgraded with \`apt-mark unhold ${held% }\`, and run again"
}

# repack NAME: a package of what the host has of it, for the day on which it comes back. What is half made goes with the
# notes of the call.
repack() {
	[ ! -e "$notes/replaced/$1.deb" ] || return 0
	as=$notes/open/repack/$1
	rm -rf -- "$as"
	mkdir -p -- "$as/DEBIAN"
	dpkg-query -W -f '${Conffiles}\n' -- "$1" | sed -n 's/^ \([^ ]*\) .*/\1/p' >"$as/DEBIAN/conffiles"
	dpkg-query -s -- "$1" | sed '/^Status:/d; /^Conffiles:/,/^[^ ]/{ /^Conffiles:/d; /^ /d; }' >"$as/DEBIAN/control"
	for part in preinst postinst prerm postrm triggers md5sums; do
		for file in "/var/lib/dpkg/info/$1.$part" "/var/lib/dpkg/info/$1:$(dpkg --print-architecture).$part"; do
			[ ! -e "$file" ] || cp -p -- "$file" "$as/DEBIAN/$part"
		done
	done
	dpkg-query -L -- "$1" | while IFS= read -r path; do
		if [ -d "$path" ] && [ ! -L "$path" ]; then
			mkdir -p -- "$as$path"
		elif [ -e "$path" ] || [ -L "$path" ]; then
			mkdir -p -- "$as${path%/*}"
			cp -aT -- "$path" "$as$path"
		fi
	done
	chmod 755 -- "$as" "$as/DEBIAN"
	dpkg-deb --root-owner-group -Znone --build "$as" "$as.part" >>"$log" 2>&1
	rm -rf -- "$as"
	sync -- "$as.part"
	mv -fT -- "$as.part" "$notes/replaced/$1.deb"
}

# replace LIST NAME...: what these packages cannot be beside goes, if it is in the list.
replace() {
	may_go=,$1,
	shift
	for name in $(apt-get -q -s install --no-upgrade "$@" 2>/dev/null | sed -n 's/^Remv \([^ ]*\) .*/\1/p'); do
		case $may_go in
		*",${name%%:*},"*) ;;
		*)
			say "apt would remove $name, which is in the way of what is to be installed"
			say "$in_the_way"
			exit 1
			;;
		esac
		mkdir -p -- "$notes/replaced"
		! apt-mark showauto "$name" 2>/dev/null | grep -q . || echo "$name" >>"$notes/replaced/auto"
		repack "$name"
	done
}

install() {
	: >"$log"
	settings
	without_starts
	mend
	may_go=$1
	shift
	[ $# -gt 0 ] || return 0
	apt update
	replace "$may_go" "$@"
	: >"$log"
	apt install --no-upgrade "$@"
}

# noted HOW STATUS...: the names that are to go so, and are in one of these states.
noted() {
	how=$1
	shift
	# shellcheck disable=SC2013 # names have no blanks
	for name in $(sed -n "s/ $how\$//p" "$notes/added"); do
		status=$(dpkg-query -W -f '${db:Status-Status}' -- "$name" 2>/dev/null || true)
		case " $* " in *" $status "*) echo "$name" ;; esac
	done
}

# take_away: what others have come to need meanwhile stays. Configuration goes when nobody is left who may want it.
take_away() {
	some="installed half-installed unpacked half-configured triggers-awaited triggers-pending"
	# shellcheck disable=SC2086 # a list of states
	there=$(noted purge $some && noted remove $some)
	# shellcheck disable=SC2086 # a list of names
	[ -z "$there" ] || dpkg --remove $there >>"$log" 2>&1 || keep_what_is_needed
	there=$(noted purge config-files)
	# shellcheck disable=SC2086 # a list of names
	[ -z "$there" ] || dpkg --purge $there >>"$log" 2>&1 || give_up
	bring_back
	if [ -e "$notes/no-states" ] && [ ! -s "$states" ]; then rm -f -- "$states"; fi
}

keep_what_is_needed() {
	needed=$(sed -n 's/^dpkg: dependency problems prevent removal of \([^:]*\).*/\1/p' "$log")
	[ -n "$needed" ] || give_up
	for name in $needed; do echo "$name install"; done | dpkg --set-selections
}

# What never went, or is back by the owner's hand, stays as it is.
bring_back() {
	[ -d "$notes/replaced" ] || return 0
	for package in "$notes"/replaced/*.deb; do
		[ -e "$package" ] || continue
		name=${package##*/} && name=${name%.deb}
		case $(dpkg-query -W -f '${db:Status-Status}' -- "$name" 2>/dev/null || true) in installed) continue ;; esac
		dpkg --install --force-confold "$package" >>"$log" 2>&1 || give_up
	done
	if [ -s "$notes/replaced/auto" ]; then
		xargs apt-mark -o Dir::Cache="$notes/cache" auto <"$notes/replaced/auto" >>"$log" 2>&1
	fi
}

call "$@"
