#!/bin/sh
# A host that lives as long as its stdin is open: a bare root behind an overlay that holds so much, and an sshd in it.
#
#   root.sh ROOT DIR SIZE PORT    DIR holds the keys of host and login
set -eu
if [ "${IN_NAMESPACE-}" != yes ]; then
	IN_NAMESPACE=yes exec unshare --mount --pid --fork --kill-child -- "$0" "$@"
fi
root=$1 dir=$2 size=$3 port=$4

# Mounted in this namespace alone. Without an end of the first process all others would outlive the test.
over=$dir/over
mkdir "$over"
mount -t tmpfs -o "size=$size" tmpfs "$over"
mkdir "$over/upper" "$over/work" "$over/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$over/upper,workdir=$over/work" "$over/root"
root=$over/root
mount -t proc proc "$root/proc"

ssh=/run/ssh
mkdir -p "$root$ssh" "$root/run/sshd"
cp "$dir/host_key" "$dir/login.pub" "$root$ssh"
cat >"$root$ssh/config" <<-EOF
	Port $port
	ListenAddress 127.0.0.1
	HostKey $ssh/host_key
	AuthorizedKeysFile $ssh/login.pub
	PermitRootLogin yes
	StrictModes no
	PidFile none
	UsePAM no
	MaxSessions 100
EOF
chroot "$root" /usr/sbin/sshd -D -e -f "$ssh/config" &
cat >/dev/null
