#!/bin/bash
# `make test-kernel`: boots Debian 13's stock kernel in a virtual machine on this machine's own files (virtme-ng), and runs
# the tests of the BPF programs and the lab's core tests in it. It is emulated and slow: a boot takes half a minute.
# Words are pytest's: tests/kernel_vm/run.sh tests/lab -m core_lab -k matrix
set -euo pipefail
cd "$(dirname "$0")/../.."
PACKAGES=(virtme-ng qemu-system-x86 udev busybox-static zstd)
KERNELS=$PWD/build/kernel_vm
LIMIT_S=${LIMIT_S:-2400}

fail() { # message, hint
	printf 'tinysnitch: error: %s\ntinysnitch: hint: %s\n' "$1" "$2" >&2
	exit 1
}

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_missing() {
	local package missing=()
	for package in "${PACKAGES[@]}"; do is_installed "$package" || missing+=("$package"); done
	[ ${#missing[@]} -eq 0 ] && return
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
		fail "apt-get could not install ${missing[*]}" "its own message stands above"
}

newest_package() {
	apt-cache search --names-only '^linux-image-6\.12\.[0-9.]*\+deb13[.0-9]*-amd64$' | cut -d' ' -f1 | sort -V | tail -n 1
}

# The kernel is unpacked, not installed: this machine must not boot it.
unpack_kernel() { # package
	local root=$KERNELS/$1
	[ ! -e "$root/complete" ] || return 0
	mkdir -p "$root"
	(cd "$root" && apt-get download -qq "$1" 2>/dev/null && dpkg-deb -x ./*.deb . && rm ./*.deb)
	[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
	depmod -b "$root" "$(version_of "$1")"
	touch "$root/complete"
}

version_of() { echo "${1#linux-image-}"; }

[ "$(id -u)" -eq 0 ] || fail "the virtual machine shares this machine's files, so it needs root" "sudo make test-kernel"
install_missing
package=$(newest_package)
[ -n "$package" ] || fail "apt knows no linux-image-6.12" "this wants Debian 13's package lists: apt-get update"
unpack_kernel "$package"
version=$(version_of "$package")
words=("${@:-}")
[ $# -gt 0 ] || words=(tests/lab tests/evasion -m core_lab)
result=$(mktemp "$KERNELS/result-XXXXXX")
trap 'rm -f "$result"' EXIT
printf -v command '%q ' "$PWD/tests/kernel_vm/inside.sh" "$PWD" "$result" "${words[@]}"
# Emulated unless KVM=1 says otherwise: /dev/kvm may be there and still not carry a guest (nested virtual machines).
kvm=(--disable-kvm)
[ "${KVM:-0}" = 0 ] || kvm=()
echo "booting $version"
project=$PWD
cd / # virtme-ng takes the path of a shared folder for one below the current folder when it looks whether it is there
trap 'kill "$vm"' INT TERM
timeout --kill-after=10 "$LIMIT_S" vng --run "$KERNELS/$package/boot/vmlinuz-$version" "${kvm[@]}" --disable-microvm \
	--cpus 2 --memory 3G --rwdir "$project" --user root -- "$command" </dev/null &
vm=$!
wait "$vm" ||
	fail "the virtual machine did not end in time or by itself" "LIMIT_S=5000 gives it more time than $LIMIT_S s"
[ -s "$result" ] || fail "the tests did not run in the virtual machine" "what it printed stands above"
exit "$(cat "$result")"
