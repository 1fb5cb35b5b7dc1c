# What a host is like, one fact a line, each behind the name of its kind. Left out is what changes by itself: times,
# counters, what tools back up, what systemd keeps of its own.
set -u
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

of() { sed "s|^|$1: |"; }

cd /
find etc opt srv usr/local var/lib run/containerd run/netns -xdev \
	\( -path var/lib/systemd -o -path 'var/lib/private' -o -path 'etc/*-' -o -path etc/.pwd.lock \) -prune -o \
	-printf '%p %y %m %u:%g %l\n' 2>/dev/null | sort | of file
find etc opt srv usr/local var/lib -xdev \
	\( -path var/lib/systemd -o -path 'var/lib/private' -o -path 'etc/*-' \) -prune -o \
	-type f -exec sha256sum {} + 2>/dev/null | sed 's/^\([^ ]*\)  \(.*\)/\2 \1/' | sort | of content
dpkg-query -W | of package
systemctl list-unit-files --no-legend --no-pager --plain | sed 's/ *$//' | of unit
systemctl list-units --all --type=service,mount,socket --no-legend --no-pager --plain |
	awk '$3 == "active" || $3 == "failed" { print $1, $3, $4 }' | grep -v '^user\|^session\|^systemd-\|^ssh@' | sort | of runs
sysctl -a 2>/dev/null | grep '^net\.' | grep -v 'conntrack_count\|\.stable_secret' | sort | of sysctl
cut -d' ' -f1 /proc/modules | sort | of module
ip -o address | sed 's/ *valid_lft.*//; s/^[0-9]*: //' | sort | of address
{ ip -4 route; ip -6 route; } | sed 's/ expires [^ ]*//' | sort | of route
awk '{ print $2, $3 }' /proc/mounts | grep -v '^/run/user/' | sort | of mount
for program in iptables ip6tables; do
	$program-save 2>/dev/null | grep '^-A\|^:[^ ]* -' | sed 's/ \[.*//' | of "$program"
done
cat /proc/swaps | of swap
hostname | of hostname
ls /proc/[0-9]*/exe 2>/dev/null | xargs -r -n1 readlink 2>/dev/null | grep '/usr/local/' | sort -u | of process
true
