#!/bin/sh
# Process 1 of a machine for tests, started by systemd-machine.ts: a copy of this one in memory, with stsmapd installed as
# systemd/README.md says, and the real systemd. $1: its folder. $2: the checkout. $3: Node. $4: a folder to share.
set -eu
folder=$1 checkout=$2 node=$3 shared=$4
root=$folder/root

mount --make-rprivate /
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for place in run tmp var/tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
chmod 1777 tmp var/tmp
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p "./$shared"
mount --bind "$shared" "./$shared"
[ ! -e etc/resolv.conf ] || mount --bind /etc/resolv.conf etc/resolv.conf

# Nothing of this machine is started there: only what a test asks for.
rm -rf etc/systemd/system usr/lib/systemd/system/*.wants
mkdir -p etc/systemd/system usr/lib/stsmapd/bin usr/lib/stsmapd/node_modules
printf '[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.service\n' >etc/systemd/system/tests.target

cp -r "$folder/dist" "$checkout/package.json" usr/lib/stsmapd/
mount --bind "$checkout/node_modules" usr/lib/stsmapd/node_modules
touch usr/lib/stsmapd/bin/node
mount --bind "$node" usr/lib/stsmapd/bin/node
cp "$checkout"/systemd/*.service "$checkout"/systemd/*.socket etc/systemd/system/
cp "$checkout/systemd/stsmapd" usr/bin/
cp "$checkout/systemd/sysusers.conf" usr/lib/sysusers.d/stsmapd.conf
chroot . systemd-sysusers stsmapd.conf

mkdir old
pivot_root . old
umount -l /old
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=tests.target --log-target=journal --show-status=no
