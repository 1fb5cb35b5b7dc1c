
# The half for RPM and dnf.
format=rpm

# installed NAME VERSION ...: those of the names that are, with the version that is there.
installed() {
	own=$(rpm --eval '%{_arch}')
	# shellcheck disable=SC2046 # a list of names
	rpm -q --qf '%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' $(names "$@") 2>/dev/null |
		while read -r name arch version; do
			case $arch in
			"$own" | noarch) echo "$name ${version#0:}" ;;
			esac
		done
}

note_more() { :; }

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
	dnf -q -y --disablerepo='*' --repofrompath="kubexm,file://$repository" --enablerepo=kubexm --nogpgcheck \
		--setopt=cachedir="$repository/dnf" --setopt=kubexm.module_hotfixes=1 --setopt=install_weak_deps=False \
		--setopt=keepcache=0 --setopt=exit_on_lock=True --setopt=clean_requirements_on_remove=False "$@" >>"$log" 2>&1
}

# Without a word of what may go, dnf removes nothing: what stands against each other is an error.
install() {
	: >"$log"
	shift
	[ $# -gt 0 ] || return 0
	waited=0
	until dnf_here install "$@"; do
		grep -qi 'lock' "$log" || give_up 1
		[ "$waited" -lt "$patience" ] || give_up "$busy"
		sleep 2
		waited=$((waited + 2))
		: >"$log"
	done
}

take_away() {
	there=
	# shellcheck disable=SC2013 # names have no blanks
	for name in $(cut -d' ' -f1 "$notes/added"); do
		! rpm -q -- "$name" >/dev/null 2>&1 || there="$there $name"
	done
	# shellcheck disable=SC2086 # a list of names
	[ -z "$there" ] || rpm -e $there >>"$log" 2>&1 || keep_what_is_needed $there
}

# Of what is to go, others have come to need something: it stays, and what it needs itself.
keep_what_is_needed() {
	grep -q 'is needed by' "$log" || give_up 1
	left=$*
	while [ -n "$left" ]; do
		next=
		for name in $left; do
			rpm -e -- "$name" >/dev/null 2>&1 || next="$next $name"
		done
		[ "$next" != "$left" ] || return 0
		left=$next
	done
}

verb=$1
shift
"$verb" "$@" </dev/null
