# The guest's first process, once its root is there: file systems, disks by their serials, then the agent.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /dev/shm /dev/pts /dev/disk/by-id /run/lock
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for block in /sys/block/vd*; do
    name=${block##*/}
    serial=$(cat "$block/serial")
    ln -s "/dev/$name" "/dev/disk/by-id/virtio-$serial"
    for part in "$block/$name"*; do
        test -d "$part" && ln -s "/dev/${part##*/}" "/dev/disk/by-id/virtio-$serial-part${part##*"$name"}"
    done
done
modprobe virtio_console
modprobe zfs zfs_arc_max=67108864
hostname guest
ip link set lo up
exec python3 -B /project/tests/vm/agent.py
