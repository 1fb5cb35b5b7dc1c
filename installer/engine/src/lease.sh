# The lease of a host: who is at work on its cluster. Called as `lease PATH VERB RECORD BREAKS`.
#
#   take     the record becomes the lease, unless somebody else's is there; one of the same holder, or of the run BREAKS, gives way
#   renew    the same for the run that holds it; one that the host has lost is put there again
#   release  the lease goes, if this run holds it
#
# Says `held`, or `other AGE` and the record that is there. Times are those since the boot: clocks are set, and with the boot
# the lease is gone.
set -eu
umask 077
path=$1
verb=$2
record=$3
breaks=$4

# One at a time. Nobody is in here for longer than a moment: whoever seems so was killed.
tries=0
until mkdir -- "$path.lock" 2>/dev/null; do
	tries=$((tries + 1))
	if [ "$tries" -eq 50 ]; then rmdir -- "$path.lock" 2>/dev/null || true; fi
	if [ "$tries" -gt 100 ]; then
		echo "cannot make $path.lock" >&2
		exit 1
	fi
	sleep 0.1
done
trap 'rmdir -- "$path.lock" 2>/dev/null || true' EXIT

read -r now _ </proc/uptime
now=${now%%.*}

there() { sed -n "s/^$1: //p" -- "$path" | head -n 1; }
mine() { printf '%s\n' "$record" | sed -n "s/^$1: //p" | head -n 1; }
is_same() { [ "$(there "$1")" = "$(mine "$1")" ]; }

put() {
	printf '%s\nrenewed: %s\n' "$record" "$now" >"$path.new"
	mv -fT -- "$path.new" "$path"
	echo held
}

tell() {
	renewed=$(there renewed)
	case $renewed in '' | *[!0-9]*) renewed=0 ;; esac
	echo "other $((now - renewed))"
	cat -- "$path"
}

case $verb in
take) if [ ! -e "$path" ] || is_same holder || [ "$(there run)" = "$breaks" ]; then put; else tell; fi ;;
renew) if [ ! -e "$path" ] || is_same run; then put; else tell; fi ;;
release) if [ ! -e "$path" ] || ! is_same run; then echo held; else rm -f -- "$path" && echo held; fi ;;
esac
