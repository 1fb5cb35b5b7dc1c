#!/bin/sh
# Installs packages into a bare root that has no source to get more from; the root stays as it is.
#
#   install.sh ROOT DEBS FILE...    the files, in the directory DEBS
set -eu
root=$1 debs=$2
shift 2
if [ "${IN_NAMESPACE-}" != yes ]; then
	IN_NAMESPACE=yes exec unshare --mount -- "$0" "$root" "$debs" "$@"
fi

# Mounted in this namespace alone; several may run side by side.
over=$root.over
mkdir -p "$over"
mount -t tmpfs tmpfs "$over"
mkdir "$over/upper" "$over/work" "$over/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$over/upper,workdir=$over/work" "$over/root"
mkdir "$over/root/debs"
mount --bind "$debs" "$over/root/debs"
mount -t proc proc "$over/root/proc"
: >"$over/root/etc/apt/sources.list"
rm -rf "$over/root/var/lib/apt/lists" "$over/root/etc/apt/sources.list.d"
printf '#!/bin/sh\nexit 101\n' >"$over/root/usr/sbin/policy-rc.d"
chmod 755 "$over/root/usr/sbin/policy-rc.d"

in_root() {
	chroot "$over/root" env -i DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
for file; do set -- "$@" "/debs/$file" && shift; done
in_root apt-get -qq -y --no-install-recommends -o APT::Sandbox::User=root -o DPkg::Options::=--force-unsafe-io install "$@"
in_root apt-get -qq check
[ -z "$(in_root dpkg --audit)" ]
