#!/bin/bash
# `make test-kernel ARCH=arm64`: boots Debian's arm64 kernel in an emulated machine, with a Debian for arm64 in its memory,
# installs the arm64 .deb of the last commit there, and runs the core tests with what that installed.
# It is slow: LIMIT_S is the limit in seconds. The Debian is set up in such a machine, too, which takes a quarter of an hour,
# and kept in build/kernel_vm.
# Other words go to pytest: tests/kernel_vm/arm64.sh tests/lab/test_matrix.py
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
. tests/kernel_vm/kernels.sh
PACKAGES=(qemu-system-arm debootstrap cpio debian-archive-keyring ubuntu-keyring)
ARCH=arm64
LIMIT_S=${LIMIT_S:-6000}
DEBIAN=$KERNELS/$SUITE-$ARCH.tar # is set up
# What the package and the core tests need.
INSIDE=(python3 libbpf1 iptables iproute2 kmod passwd procps gcc libc6-dev dnsmasq-base unbound nginx-light openssl curl
	bind9-dnsutils iputils-ping conntrack wireguard-tools bpftool)
ROOT=

# Runs init.sh in an emulated machine that has ROOT in its memory, and a disk. What it prints goes to a file, too.
boot() { # words
	truncate -s 4G "$EXCHANGE/disk"
	(cd "$ROOT" && find . -xdev -print0 | cpio --null --create --format=newc --quiet) >"$EXCHANGE/root"
	timeout --kill-after=10 "$LIMIT_S" qemu-system-aarch64 -machine virt -cpu cortex-a72 -smp 1 -m 4G -no-reboot -nic none \
		-display none -monitor none -serial stdio -drive "file=$EXCHANGE/disk,format=raw,if=virtio" \
		-kernel "$KERNELS/$version/boot/vmlinuz-$version" -initrd "$EXCHANGE/root" \
		-append "console=ttyAMA0 loglevel=4 rdinit=/srv/init.sh -- $*" </dev/null | tee "$EXCHANGE/said" ||
		fail "the virtual machine did not end in time or by itself" "LIMIT_S=9000 gives it more time than $LIMIT_S s"
}

# The packages are configured by their own scripts, which are arm64's: so in the machine, which hands back its disk.
set_up_debian() {
	debootstrap --foreign --arch="$ARCH" --variant=minbase --include="$(IFS=, && echo "${INSIDE[*]}")" \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$SUITE" "$ROOT" "$MIRROR" >"$KERNELS/debootstrap.log" ||
		fail "debootstrap failed" "read $KERNELS/debootstrap.log"
	add_machine
	boot set-up
	grep -q '^set up' "$EXCHANGE/said" || fail "Debian was not set up in the virtual machine" "what it printed stands above"
	cp --sparse=always "$EXCHANGE/disk" "$DEBIAN.new" && mv "$DEBIAN.new" "$DEBIAN"
}

add_machine() {
	cp -a "$KERNELS/$version/usr/lib/modules" "$ROOT/usr/lib/"
	mkdir -p "$ROOT/srv"
	cp tests/kernel_vm/init.sh "$ROOT/srv/"
}

# The project without its code: that is in the package. The tools of the tests are of Python alone, or arm64's.
add_project() {
	.venv/bin/python -m release "deb-$ARCH" >/dev/null
	cp dist/tinysnitch_*_"$ARCH".deb "$ROOT/srv/tinysnitch.deb"
	mkdir "$ROOT/srv/tinysnitch"
	git -c safe.directory="$PWD" archive HEAD tests bpf pyproject.toml | tar -x -C "$ROOT/srv/tinysnitch"
	ln -s /opt/tinysnitch "$ROOT/srv/tinysnitch/.venv"
	local python tools
	python=$(readlink "$ROOT/usr/bin/python3")
	mapfile -t tools < <(sed -nE 's/^ *"((pytest|hypothesis|dnspython)==.*)",$/\1/p' pyproject.toml)
	.venv/bin/python -m pip install --quiet --target "$ROOT/srv/python" \
		--platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 --python-version "${python#python}" \
		--only-binary=:all: "${tools[@]}"
	printf '%s\n' "$@" >"$ROOT/srv/words"
}

[ "$(id -u)" -eq 0 ] || fail "a Debian with files of root's needs root" "sudo make test-kernel ARCH=arm64"
install_missing
get_kernel
EXCHANGE=$(mktemp -d "$KERNELS/exchange-XXXXXX")
ROOT=$EXCHANGE/files
mkdir "$ROOT"
trap 'rm -rf --one-file-system "$EXCHANGE"' EXIT
trap 'exit 130' INT TERM
[ -e "$DEBIAN" ] || set_up_debian
find "$ROOT" -mindepth 1 -delete
tar -C "$ROOT" -xf "$DEBIAN"
words=("$@")
[ $# -gt 0 ] || mapfile -t words < <(printf '%s\n' -m core_lab && grep -rl --include='test_*.py' core_lab tests)
add_machine
add_project "${words[@]}"
boot test
grep -q '^tests ended: ' "$EXCHANGE/said" || fail "the tests did not run in the virtual machine" "what it printed stands above"
exit "$(sed -nE 's/^tests ended: ([0-9]+).*/\1/p' "$EXCHANGE/said")"
