#!/bin/bash
# `make test-kernel`: boots this distribution's newest kernel in a virtual machine on this machine's own files (virtme-ng),
# and runs the tests of the BPF programs and the lab's core tests in it. It is emulated and slow: a boot takes half a minute.
# `make test-kernel SUITE=bookworm`: the newest kernel of that suite; KERNEL=6.16: its newest 6.16; MIRROR=URL: from there.
# Other words go to pytest: SUITE=bookworm tests/kernel_vm/run.sh tests/lab -m core_lab -k matrix
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
. tests/kernel_vm/kernels.sh
PACKAGES=(virtme-ng qemu-system-x86 udev busybox-static zstd file debian-archive-keyring ubuntu-keyring)
ARCH=amd64
LIMIT_S=${LIMIT_S:-2400}

# Writes the command for the virtual machine. The project is mounted anew with a cache: otherwise each look at a file is a
# request to this machine, and Python's imports take twice as long.
write_command() { # pytest's words
	printf 'umount /mnt && mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose virtme.initmount1 %q && ' "$PWD"
	printf '%q ' "$PWD/tests/kernel_vm/inside.sh" "$PWD" "$result" "$@"
}

[ "$(id -u)" -eq 0 ] || fail "the virtual machine shares this machine's files, so it needs root" "sudo make test-kernel"
install_missing
get_kernel
words=("$@")
# The virtual machine writes no .pyc files: each command there would compile all that it imports.
.venv/bin/python -m compileall -q src tests
[ $# -gt 0 ] || mapfile -t words < <(printf '%s\n' -m core_lab && grep -rl --include='test_*.py' core_lab tests)
exchange=$(mktemp -d "$KERNELS/exchange-XXXXXX")
result=$exchange/result
trap 'rm -r "$exchange"' EXIT
# In a file: virtme-ng puts a command into the kernel's command line, and with one that is too long the kernel never ends.
write_command "${words[@]}" >"$exchange/command"
# Emulated unless KVM=1: /dev/kvm may exist and still not run a guest (nested virtual machines).
kvm=(--disable-kvm)
[ "${KVM:-0}" = 0 ] || kvm=()
echo "booting $version"
project=$PWD
cd / # virtme-ng checks that a shared folder exists, but below the current folder
trap 'kill "$vm"' INT TERM
timeout --kill-after=10 "$LIMIT_S" vng --run "$KERNELS/$version/boot/vmlinuz-$version" "${kvm[@]}" --disable-microvm --force-9p \
	--cpus 2 --memory 3G --rwdir "$project" --rwdir "/mnt=$project" --user root -- bash "$exchange/command" </dev/null &
vm=$!
wait "$vm" ||
	fail "the virtual machine did not end in time or by itself" "LIMIT_S=5000 gives it more time than $LIMIT_S s"
[ -s "$result" ] || fail "the tests did not run in the virtual machine" "what it printed stands above"
exit "$(cat "$result")"
