# In the new root: make a container host of it, run the command, report, power off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
rm -f /results.stage2
mount -t virtiofs results /results
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/init
echo $$ > /sys/fs/cgroup/init/cgroup.procs
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control
done
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
# The kernel asks for further modules through this path.
mkdir -p /lib/modules
. /results/environment
ln -sfn "$ROSS_VM_MODULES" "/lib/modules/$(uname -r)"
ln -sf "$(command -v busybox)" /sbin/modprobe 2>/dev/null
echo /sbin/modprobe > /proc/sys/kernel/modprobe
hostname ross-vm
ip link set lo up 2>/dev/null || ifconfig lo up
# Overlay does not stack on overlay: engines keep their data on the ext4 disk.
mkdir -p /data
mount -t ext4 -o noatime /dev/vda /data
for dir in ross docker containerd containers; do
    mkdir -p "/data/$dir" "/var/lib/$dir"
    mount --bind "/data/$dir" "/var/lib/$dir"
done
mkdir -p /data/tmp
chmod 1777 /data/tmp
for port in /dev/vport*p1; do out=$port; done
cd "$ROSS_VM_DIR" 2>/dev/null || cd /
# A session of its own, so that the command may have a controlling terminal and job control.
busybox setsid sh /results/command > "$out" 2>&1 < /dev/null
echo $? > /results/exit-code
cd /
sync
umount /data 2>/dev/null
sync
poweroff -f
