# replace FILE COMMAND...: what the command writes takes the place of what the file holds, whole or not at all, also where
# the power goes. Mode and owner stay. A link stays as well, and what it leads to is replaced.
replace() {
	replaced=$(readlink -f -- "$1") && shift || return
	rm -f -- "$replaced.kubexm-new" || return
	if [ -e "$replaced" ]; then
		cp -a -- "$replaced" "$replaced.kubexm-new" || return
	else
		(umask 022 && : >"$replaced.kubexm-new") || return
	fi
	if "$@" >"$replaced.kubexm-new"; then
		sync -- "$replaced.kubexm-new" && mv -fT -- "$replaced.kubexm-new" "$replaced" && sync -- "${replaced%/*}"
	else
		rm -f -- "$replaced.kubexm-new"
		return 1
	fi
}
