#!/bin/bash
# enter.sh ROOT COMMAND...: COMMAND with ROOT as the root of this mount namespace, called in a new mount namespace.
# Not by chroot: BPF resolves a path up to the root of the mount namespace, as it does on a real machine.
set -euo pipefail
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs run "$root/run"
mkdir -p "$root/run/netns"
mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
mount -t bpf bpf "$root/sys/fs/bpf"
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -l /old
exec env -i HOME=/srv TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
