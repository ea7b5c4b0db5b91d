# Sourced by run.sh and arm64.sh, with errexit: gets a kernel of a suite, for ARCH, and unpacks it below KERNELS.
KERNELS=$PWD/build/kernel_vm
KERNEL=${KERNEL:-}
SUITE=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
MIRROR=${MIRROR:-}

# The mirror is the one that this machine's apt uses; MIRROR names another.
find_mirror() {
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' |
		awk -v suite="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$2 == suite && $3 == "main" { print $1; exit }'
}

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
	local place=$KERNELS/apt/$SUITE-$ARCH keys=/usr/share/keyrings
	mkdir -p "$place"/{lists,archives}/partial
	echo "deb [arch=$ARCH signed-by=$keys/debian-archive-keyring.gpg,$keys/ubuntu-archive-keyring.gpg]" \
		"$MIRROR $SUITE main" >"$place/sources.list"
	APT_OPTIONS=(-o "APT::Architecture=$ARCH"
		-o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State=$place" -o Dir::State::status=/dev/null -o "Dir::Cache=$place"
		-o Acquire::Languages=none -o APT::Sandbox::User=root)
	apt-get "${APT_OPTIONS[@]}" -qq update ||
		fail "apt-get could not read the lists of $SUITE" "name a mirror that has it: make test-kernel SUITE=$SUITE MIRROR=URL"
}

# Prints the newest version that matches KERNEL. Packages are named like linux-image-6.1.0-56-amd64,
# linux-image-6.12.90+deb12.1-amd64 or linux-image-6.8.0-31-generic.
find_version() {
	apt-cache "${APT_OPTIONS[@]}" pkgnames linux-image- | sed 's/^linux-image-//' |
		{ grep -E '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9]+|\+deb[0-9.]+)-('"$ARCH"'|generic)$' || true; } |
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

# Sets `version`.
get_kernel() {
	MIRROR=${MIRROR:-$(find_mirror)}
	[ -n "$MIRROR" ] || fail "apt on this machine has no list of a mirror's" \
		"apt-get update, or name one: make test-kernel SUITE=$SUITE MIRROR=URL"
	make_apt
	version=$(find_version)
	[ -n "$version" ] || fail "$SUITE has no linux-image-$KERNEL" "name a suite that has it: make test-kernel SUITE=bookworm KERNEL=6.1"
	unpack_kernel "$version"
}
