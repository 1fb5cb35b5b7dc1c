
# The half for RPM and dnf.
format=rpm

# The names that the call is for, as long as nobody knows how far RPM came with them: those of them that it calls installed
# may lack what their scripts do.
unfinished=$notes/open/unfinished

# installed NAME VERSION ...: those of the names that are, with the version that is there.
installed() {
	own=$(rpm --eval '%{_arch}')
	# shellcheck disable=SC2046 # a list of names
	rpm -q --qf '%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' $(names "$@") 2>/dev/null |
		while read -r name arch version; do
			! grep -qxF -e "$name" -- "$unfinished" 2>/dev/null || continue
			case $arch in
			"$own" | noarch) echo "$name ${version#0:}" ;;
			esac
		done
}

note_more() { :; }

note_call() {
	[ $# -gt 0 ] || return 0
	{
		cat -- "$unfinished" 2>/dev/null || true
		printf '%s\n' "$@"
	} | sort -u | keep "$unfinished"
}

# What is packaged so starts nothing.
allow_starts() { :; }

# Nothing has come if they are gone.
scripts_that_came() {
	for file in "$repository"/*.rpm; do
		[ ! -e "$file" ] || rpm -qp --nosignature --scripts --provides -- "$file" 2>/dev/null || true
	done
}

files_of_added() { cut -d' ' -f1 "$notes/added" | xargs -r rpm -ql 2>/dev/null || true; }

# Epoch, version and release are compared one after another, as rpm does it.
is_older() {
	for part in epoch version release; do
		one=$(part "$part" "$1") other=$(part "$part" "$2")
		if [ -z "$one" ] || [ -z "$other" ]; then continue; fi
		case $(rpm --eval "%{lua: print(rpm.vercmp('$one', '$other'))}") in
		-1) return 0 ;;
		1) return 1 ;;
		esac
	done
	return 1
}

part() {
	case $2 in *:*) evr=$2 ;; *) evr=0:$2 ;; esac
	case $evr in *-*) ;; *) evr=$evr- ;; esac
	case $1 in
	epoch) echo "${evr%%:*}" ;;
	version) evr=${evr#*:} && echo "${evr%-*}" ;;
	release) echo "${evr##*-}" ;;
	esac
}

how_to_remove() { printf '%s erase\n' "$@"; }

# dnf with this repository alone, and nothing of its own kept.
dnf_here() {
	mkdir -p -- "$repository/tmp"
	TMPDIR=$repository/tmp dnf -y --disablerepo='*' --repofrompath="kubexm,file://$repository" --enablerepo=kubexm \
		--nogpgcheck --setopt=cachedir="$repository/dnf" --setopt=kubexm.module_hotfixes=1 \
		--setopt=install_weak_deps=False --setopt=keepcache=0 --setopt=exit_on_lock=True \
		--setopt=clean_requirements_on_remove=False "$@" >>"$log" 2>&1
}

# RPM itself would wait for as long as it takes.
wait_for_rpm() {
	while pid=$(holder "$(rpm --eval '%{_rpmlock_path}')") && [ -n "$pid" ]; do in_use RPM "$pid"; done
}

# dnf's status where another dnf is at work.
locked=200

# told: what scripts have said that failed, and dnf's errors.
told() {
	awk '
		/^  [A-Z][a-z ]*: / { before = ""; next }
		/^(error|warning): %/ { print before $0; next }
		/^(Installed|Upgraded|Failed|Skipped|Error Summary)/ { errors = 0; next }
		/^\(try to add/ { next }
		/^Error: *$/ { errors = 1; next }
		/^Error: / { errors = 1 }
		errors { print; next }
		{ before = before $0 "\n" }
	' "$log"
}

advise() {
	if grep -q 'filtered out by exclude' "$log"; then
		say "hint: dnf's own settings on the host exclude it: see excludepkgs and exclude in /etc/dnf/dnf.conf"
	elif grep -q 'conflicts with .* from @System' "$log"; then
		say "$in_the_way"
	fi
}

# A call that was killed leaves both versions of what it was about to upgrade, and nobody knows whether the scripts of the
# newer have run.
mend() {
	wait_for_rpm
	[ -e "$unfinished" ] || return 0
	for file in "$repository"/*.rpm; do
		[ -e "$file" ] || continue
		name=$(rpm -qp --nosignature --qf '%{NAME}' -- "$file" 2>/dev/null)
		whole=$(rpm -qp --nosignature --qf '%{NEVRA}' -- "$file" 2>/dev/null)
		! grep -qxF -e "$name" -- "$unfinished" || continue
		there=$(rpm -q --qf '%{NEVRA}\n' -- "$name" 2>/dev/null) || continue
		echo "$there" | grep -qxF -e "$whole" || continue
		for older in $there; do
			[ "$older" = "$whole" ] || rpm -e --nodeps -- "$older" >>"$log" 2>&1 || give_up
		done
		rpm -U --replacepkgs --nodeps --nosignature -- "$file" >>"$log" 2>&1 || give_up
	done
}

# What is half installed is taken off, so that it is installed as if for the first time.
start_over() {
	# shellcheck disable=SC2013 # names have no blanks
	for name in $(cat -- "$unfinished"); do
		! rpm -q -- "$name" >/dev/null 2>&1 ||
			rpm -e --allmatches --nodeps --noscripts --notriggers -- "$name" >>"$log" 2>&1 || give_up
	done
}

# Without a word of what may go, dnf removes nothing: what stands against each other is an error.
install() {
	: >"$log"
	mend
	shift
	if [ $# -gt 0 ]; then
		start_over
		until dnf_here install "$@"; do
			status=$?
			# Nothing has come yet, and so nothing is half done.
			grep -q '^Running transaction$' "$log" || rm -f -- "$unfinished"
			[ "$status" = "$locked" ] || give_up
			in_use dnf "$(cat /var/lib/dnf/rpmdb_lock.pid 2>/dev/null)"
			: >"$log"
		done
	fi
	rm -f -- "$unfinished"
	if grep -q '^Error in .* scriptlet' "$log"; then
		say "$(told)"
		say "hint: for dnf it is installed all the same: mend what the script asks for, and run again, which goes on as it is"
		exit 1
	fi
}

take_away() {
	there=
	# shellcheck disable=SC2013 # names have no blanks
	for name in $(cut -d' ' -f1 "$notes/added"); do
		! rpm -q -- "$name" >/dev/null 2>&1 || there="$there $name"
	done
	# shellcheck disable=SC2086 # a list of names
	[ -z "$there" ] || rpm -e --allmatches $there >>"$log" 2>&1 || keep_what_is_needed $there
}

# Of what is to go, others have come to need something: it stays, and what it needs itself.
keep_what_is_needed() {
	grep -q 'is needed by' "$log" || give_up
	left=$*
	while [ -n "$left" ]; do
		next=
		for name in $left; do
			rpm -e --allmatches -- "$name" >/dev/null 2>&1 || next="$next $name"
		done
		[ "$next" != "$left" ] || return 0
		left=$next
	done
}

call "$@"
