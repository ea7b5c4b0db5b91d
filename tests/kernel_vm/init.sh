#!/bin/bash
# init.sh set-up | test: the first process of the emulated machine of arm64.sh, which has all its files in memory.
set -uo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive

mount_all() {
	local kind place
	while read -r kind place; do
		mkdir -p "$place"
		mountpoint -q "$place" || mount -t "$kind" "$kind" "$place"
	done <<-END
		proc /proc
		sysfs /sys
		devtmpfs /dev
		devpts /dev/pts
		tmpfs /dev/shm
		tmpfs /run
		tmpfs /tmp
	END
	ln -sfn /proc/self/fd /dev/fd
}

# The second half of what debootstrap does. The disk gets the files, as an archive.
set_up() {
	/debootstrap/debootstrap --second-stage || { tail -n 40 /debootstrap/debootstrap.log && return; }
	mount_all
	modprobe -a virtio_pci virtio_blk
	tar -C / -c --one-file-system --exclude=./srv/\* --exclude=./usr/lib/modules --exclude=./var/cache/apt . >/dev/vda &&
		sync && echo "set up: $(dpkg --print-architecture), $(uname -r)"
}

run_tests() {
	local words
	mount_all
	dpkg -i /srv/tinysnitch.deb || return
	mapfile -t words </srv/words
	PYTHONPATH=/srv/python tests/kernel_vm/inside.sh "$PWD" /srv/result -o pythonpath=. "${words[@]}"
	echo "tests ended: $(cat /srv/result)"
}

cd /srv
case $1 in
set-up) set_up ;;
test) cd tinysnitch && run_tests ;;
esac
mount_all
echo o >/proc/sysrq-trigger
sleep 60
