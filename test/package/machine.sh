#!/bin/sh
# A machine for a test, in memory: $1 is where its root is mounted, $2 the folders it is a copy of (the uppermost first, with
# colons between), $3 a folder to share with it, and the rest the command that is its process 1. Started by machine.ts.
set -eu
root=$1 layers=$2 shared=$3
shift 3

if [ -z "${INSIDE:-}" ]; then
  # A cgroup of its own, which systemd takes for the whole tree, as in a container.
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir "/sys/fs/cgroup/stsmapd-package.$$"
  echo $$ >"/sys/fs/cgroup/stsmapd-package.$$/cgroup.procs"
  export INSIDE=1
  exec unshare --cgroup --mount --net --pid --uts --ipc --fork --kill-child "$0" "$root" "$layers" "$shared" "$@"
fi

mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/root"
mount -t overlay -o "lowerdir=$layers,upperdir=$root/upper,workdir=$root/work" overlay "$root/root"
cd "$root/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
chmod 1777 tmp
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm dev/pts mnt/shared old
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind "$shared" mnt/shared
pivot_root . old
umount -l /old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
