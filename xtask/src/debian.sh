#!/bin/sh
# A real system in several layers, as an OCI layout: debian.sh FOLDER. Mounts are the caller's own.
set -e
mkdir -p "$1"
cd "$1"
rm -rf layout bundle tree
debootstrap --variant=minbase bookworm tree
umoci init --layout layout
umoci new --image layout:image
umoci unpack --image layout:image bundle
rmdir bundle/rootfs
mv tree bundle/rootfs
T=$PWD/bundle/rootfs
layer() { umoci repack --refresh-bundle --image layout:image bundle; }
layer
# Then what an upgrade does to a tree: packages in and out, rights, links, a folder where a file was.
chroot "$T" apt-get install -y --no-install-recommends libcap2-bin less
chroot "$T" /sbin/setcap cap_net_raw+ep /bin/less
layer
chroot "$T" apt-get purge -y less
rm -r "$T/usr/share/doc" "$T/etc/motd" "$T/var/log"
mkdir "$T/usr/share/doc" "$T/etc/motd"
echo new >"$T/usr/share/doc/README"
ln -s /tmp "$T/var/log"
chmod 4711 "$T/usr/bin/sort"
chown 70000:70001 "$T/usr/bin/wc"
ln "$T/usr/bin/wc" "$T/usr/local/bin/wc"
touch -d 2001-02-03T04:05:06.789Z "$T/usr/share"
layer
rm -r bundle
