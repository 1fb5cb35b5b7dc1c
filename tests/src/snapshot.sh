# What a host is like, one fact a line, each behind the name of its kind. Left out is what changes by itself: times,
# counters, what tools back up, what systemd and the login that asks keep of their own, what runs at a first boot alone, tables of
# iptables that are empty, and its lock.
set -u
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C

of() { sed "s|^|$1: |"; }

cd /
places='etc home opt root srv tmp usr/lib/systemd usr/libexec usr/local var/cache var/lib var/log/containers var/log/pods
	var/spool var/tmp run/systemd/system'
places="$places $(ls -d run/*kube* run/containerd run/cni run/flannel run/netns run/haproxy* run/keepalived* 2>/dev/null)"
# Patterns are for find, and not for the shell.
set -f
# containerd writes it whenever it collects garbage.
collecting='*/io.containerd.metadata.v1.bolt/meta.db'
passing='-path var/lib/systemd -o -path var/lib/private -o -path etc/*- -o -path etc/.pwd.lock -o -name systemd-private-*'
find $places -xdev \( $passing \) -prune -o -printf '%p %y %m %u:%g %l\n' 2>/dev/null | sort | of file
find $places -xdev \( $passing \) -prune -o -type f ! -path "$collecting" -exec sha256sum {} + 2>/dev/null |
	sed 's/^\([^ ]*\)  \(.*\)/\2 \1/' | sort | of content
set +f
ls -A / /run /var/log | sort -u | grep -v '^user$\|^motd\|^utmp$\|^dbus\|^xtables.lock$' | of root
dpkg-query -W | of package
systemctl list-unit-files --no-legend --no-pager --plain | sed 's/ *$//' | of unit
systemctl list-units --all --no-legend --no-pager --plain |
	awk '$1 !~ /\.(device|slice|scope|path|target)$/ && $2 == "loaded" && ($3 == "active" || $3 == "failed") { print $1, $3 }' |
	grep -v '^user\|^session\|^systemd-\|^ssh@\|^run-user\|^ldconfig' | sort | of runs
find /sys/fs/cgroup -type d -name '*kube*' -o -type d -name '*cri-containerd*' 2>/dev/null | sort | of cgroup
sysctl -a 2>/dev/null | grep '^net\.' |
	grep -v 'conntrack_count\|\.stable_secret\|conntrack_max\|conntrack_buckets' | sort | of sysctl
cut -d' ' -f1 /proc/modules 2>/dev/null | sort | of module
ip -o address | sed 's/ *valid_lft.*//; s/^[0-9]*: //' | sort | of address
# Behind the @ stands the other end of a pair, and that may be another one.
ip -o link | sed 's/^[0-9]*: \([^:@]*\)[^:]*:.* mtu \([0-9]*\).* state \([A-Z]*\).*/\1 mtu \2 \3/' | sort | of link
for family in 4 6; do
	{ ip -$family route show table all; ip -$family rule; } | sed 's/ expires [^ ]*//' | sort | of "route$family"
	ip -$family neigh show nud permanent | sort | of neighbour
done
awk '{ print $2, $3 }' /proc/mounts | grep -v '^/run/user/' | sort | of mount
ls -A /run/netns 2>/dev/null | of netns
for program in iptables ip6tables; do
	for kind in nft legacy; do
		$program-$kind-save 2>/dev/null | grep '^-A\|^:[^ ]* -\|^:[^ ]* DROP' | sed 's/ \[.*//' | of "$program-$kind"
	done
done
nft list tables 2>/dev/null | grep -v '^table ip6\? \(filter\|nat\|mangle\|raw\|security\)$' | of nft
cat /proc/swaps | of swap
hostname | of hostname
ls -l /proc/[0-9]*/exe 2>/dev/null | sed 's/.* -> //' | grep -v '/sshd\|/\(da\|ba\)\?sh$\|/\(ls\|sed\|grep\|sort\|cut\|awk\|find\)$\|/sftp\|systemd\|sudo' | sort -u | of process
true
