#!/bin/bash
# enter.sh ROOT COMMAND...: runs COMMAND with ROOT as the root of the mount namespace; to be called in a new one.
# By pivot_root, not chroot: BPF resolves paths up to the root of the mount namespace, and so they are as on a real machine.
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
