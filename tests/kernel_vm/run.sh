#!/bin/bash
# `make test-kernel`: boots this distribution's newest kernel in a virtual machine on this machine's own files (virtme-ng),
# and runs the tests of the BPF programs and the lab's core tests in it. It is emulated and slow: a boot takes half a minute.
# `make test-kernel SUITE=bookworm`: the newest kernel of that suite; KERNEL=6.16: its newest 6.16; MIRROR=URL: from there.
# Other words go to pytest: SUITE=bookworm tests/kernel_vm/run.sh tests/lab -m core_lab -k matrix
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
PACKAGES=(virtme-ng qemu-system-x86 udev busybox-static zstd file debian-archive-keyring ubuntu-keyring)
KERNELS=$PWD/build/kernel_vm
KERNEL=${KERNEL:-}
SUITE=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
MIRROR=${MIRROR:-}
LIMIT_S=${LIMIT_S:-2400}

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_missing() {
	local package missing=()
	for package in "${PACKAGES[@]}"; do is_installed "$package" || missing+=("$package"); done
	[ ${#missing[@]} -eq 0 ] && return
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
		fail "apt-get could not install ${missing[*]}" "its own message stands above"
}

# Sets up a separate apt that knows this suite alone: the machine's own sources and installed packages are not touched.
make_apt() {
	local place=$KERNELS/apt/$SUITE keys=/usr/share/keyrings
	mkdir -p "$place"/{lists,archives}/partial
	echo "deb [arch=amd64 signed-by=$keys/debian-archive-keyring.gpg,$keys/ubuntu-archive-keyring.gpg]" \
		"$MIRROR $SUITE main" >"$place/sources.list"
	APT_OPTIONS=(-o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State=$place" -o Dir::State::status=/dev/null -o "Dir::Cache=$place"
		-o Acquire::Languages=none -o APT::Sandbox::User=root)
	apt-get "${APT_OPTIONS[@]}" -qq update ||
		fail "apt-get could not read the lists of $SUITE" "name a mirror that has it: make test-kernel SUITE=$SUITE MIRROR=URL"
}

# The mirror is the one that this machine's apt uses; MIRROR names another.
find_mirror() {
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' |
		awk -v suite="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$2 == suite && $3 == "main" { print $1; exit }'
}

# Prints the newest version that matches KERNEL. Packages are named like linux-image-6.1.0-56-amd64,
# linux-image-6.12.90+deb12.1-amd64 or linux-image-6.8.0-31-generic.
find_version() {
	apt-cache "${APT_OPTIONS[@]}" pkgnames linux-image- | sed 's/^linux-image-//' |
		{ grep -E '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9]+|\+deb[0-9.]+)-(amd64|generic)$' || true; } |
		{ grep -E "^${KERNEL//./\\.}${KERNEL:+[.+-]}" || true; } | sort -V | tail -n 1
}

# The kernel is unpacked, not installed: this machine must not boot it. Distributions differ in which of these packages
# exist, and in which of them have the kernel and the modules.
unpack_kernel() { # version
	local root=$KERNELS/$1 part packages=()
	[ ! -e "$root/complete" ] || return 0
	for part in base image binary modules modules-extra; do
		[ -z "$(apt-cache "${APT_OPTIONS[@]}" pkgnames "linux-$part-$1")" ] || packages+=("linux-$part-$1")
	done
	rm -rf "$root"
	mkdir -p "$root/usr/lib" "$root/boot"
	ln -s usr/lib "$root/lib"
	(cd "$root" && apt-get "${APT_OPTIONS[@]}" download -qq "${packages[@]}" &&
		for part in ./*.deb; do dpkg-deb --fsys-tarfile "$part" | tar -x --keep-directory-symlink && rm "$part"; done)
	[ -e "$root/boot/vmlinuz-$1" ] || ln "$root/lib/modules/$1/vmlinuz" "$root/boot/vmlinuz-$1"
	depmod -b "$root" "$1"
	touch "$root/complete"
}

# Writes the command for the virtual machine. The project is mounted anew with a cache: otherwise each look at a file is a
# request to this machine, and Python's imports take twice as long.
write_command() { # pytest's words
	printf 'umount /mnt && mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose virtme.initmount1 %q && ' "$PWD"
	printf '%q ' "$PWD/tests/kernel_vm/inside.sh" "$PWD" "$result" "$@"
}

[ "$(id -u)" -eq 0 ] || fail "the virtual machine shares this machine's files, so it needs root" "sudo make test-kernel"
install_missing
MIRROR=${MIRROR:-$(find_mirror)}
[ -n "$MIRROR" ] || fail "apt on this machine has no list of a mirror's" \
	"apt-get update, or name one: make test-kernel SUITE=$SUITE MIRROR=URL"
make_apt
version=$(find_version)
[ -n "$version" ] || fail "$SUITE has no linux-image-$KERNEL" "name a suite that has it: make test-kernel SUITE=bookworm KERNEL=6.1"
unpack_kernel "$version"
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
