#!/bin/sh
# Root of the test machine: the host's tree read-only, a tmpfs above it.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" 2>/dev/null; done < /modules/order
fail() { echo "ross-vm: $1" > /dev/console; poweroff -f; }
mount -t virtiofs -o ro host /lower || fail "cannot mount the host's tree"
mount -t tmpfs -o size=75% rw /rw
mkdir -p /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work root /root || fail "cannot make the root"
mkdir -p /root/proc /root/sys /root/dev /root/results
cat /stage2 > /root/results.stage2
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
exec switch_root /root /bin/busybox sh /results.stage2
