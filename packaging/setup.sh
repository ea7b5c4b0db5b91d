#!/bin/bash
# Installs what is missing, and nothing else: `setup.sh run` for the firewall, `setup.sh window` for its window too,
# `setup.sh test` for its tests.
# Debian 13 and Ubuntu 24.04; elsewhere it uses what was installed by hand, and names what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
umask 022 # what is made here others may run, too (install.sh)

RUN_COMMANDS=(clang iptables ip6tables setsid) # where there are no packages of Debian's
BY_HAND="dnf install clang llvm libbpf-devel kernel-headers glibc-devel iptables-nft util-linux"
BY_HAND+=", pacman -S python clang llvm libbpf linux-api-headers iptables util-linux, or what has them here"
RUN_PACKAGES=(python3-venv libbpf1 libbpf-dev libc6-dev linux-libc-dev iptables iproute2 kmod util-linux)
TEST_PACKAGES=(gcc dnsmasq-base unbound nginx-light openssl curl wget bind9-dnsutils iputils-ping git
	openssh-client openssh-server conntrack iperf3 procps wireguard-tools)
# What Qt loads to show a window, and a font.
WINDOW_PACKAGES=(libegl1 libgl1 libfontconfig1 libdbus-1-3 libx11-xcb1 libxcb-cursor0 libxcb-icccm4
	libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0
	libxcb-xkb1 libxkbcommon-x11-0 fonts-dejavu-core)
# Screens (X11, Wayland) and hands for its tests.
SCREEN_PACKAGES=(xvfb xdotool xclip sway wtype)
UNBUILT="Failed building wheel" # says pip
COMPILE_BY_HAND="apt install g++ python3-dev, dnf install gcc-c++ python3-devel, pacman -S gcc, or what has them here"
APT_LOCK_S=300 # for whoever installs just now: a machine that was just started upgrades itself
POLICY=/usr/sbin/policy-rc.d # asked before a package starts its service (invoke-rc.d(8))
owns_policy=

has_apt() { command -v apt-get >/dev/null; }

# Headers are not looked for: where they are missing the compiler says which.
need_commands() {
	local command missing=()
	for command in "$@"; do command -v "$command" >/dev/null || missing+=("$command"); done
	[ ${#missing[@]} -eq 0 ] || fail "these are missing, and there is no apt-get to install them: ${missing[*]}" "$BY_HAND"
}

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_candidate() { [[ "$(apt-cache policy "$1" 2>/dev/null)" =~ Candidate:\ [0-9] ]]; }

is_available() { is_installed "$1" || has_candidate "$1"; }

# clang with the BPF target and llvm-strip: the versioned packages where they exist, else the distribution's own.
compiler_packages() { if is_available clang-19; then echo clang-19 llvm-19; else echo clang llvm; fi; }

formatter_package() { if is_available clang-format-19; then echo clang-format-19; else echo clang-format; fi; }

# Debian 12 has the name from before its time became 64 bits wide.
glib_package() { if is_available libglib2.0-0t64; then echo libglib2.0-0t64; else echo libglib2.0-0; fi; }

# Ubuntu 24.04 has it among the tools of each kernel, behind a command that looks for those of the running one.
bpftool_package() {
	local package
	for package in bpftool "linux-tools-$(uname -r)" linux-tools-generic; do
		if is_available "$package"; then
			echo "$package"
			return
		fi
	done
}

# A browser, to count keys with; where it is no package (Ubuntu), its test is skipped.
browser_package() { if is_available chromium; then echo chromium; fi; }

missing_of() {
	local package
	for package in "$@"; do is_installed "$package" || echo "$package"; done
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_of "$@")
	[ ${#missing[@]} -eq 0 ] && return
	[ "$(id -u)" -eq 0 ] || fail "these system packages are missing: ${missing[*]}" \
		"run this as root, or: apt-get install ${missing[*]}"
	echo "installing ${missing[*]}"
	forbid_services
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		-o DPkg::Lock::Timeout="$APT_LOCK_S" "${missing[@]}" >/dev/null ||
		tell_why_not "${missing[@]}"
	allow_services
}

tell_why_not() { # packages
	local package unknown=()
	for package in "$@"; do is_available "$package" || unknown+=("$package"); done
	[ ${#unknown[@]} -eq 0 ] || fail "this system has no package ${unknown[*]}" \
		"it takes Debian 13, Ubuntu 24.04 with its universe, or newer ones"
	fail "apt-get could not install $*" "its own message stands above; is the network up?"
}

# No service may start by itself: a test wants the programs of nginx and sshd, not their daemons.
forbid_services() {
	[ ! -e "$POLICY" ] || return 0
	trap allow_services EXIT
	owns_policy=1
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 755 "$POLICY"
}

allow_services() {
	[ -z "$owns_policy" ] || rm -f "$POLICY"
	owns_policy=
}

# Package names can only be chosen from fresh lists; a bare machine has none.
refresh_lists() {
	[ "$(id -u)" -eq 0 ] || return 0
	has_candidate iptables && has_candidate libbpf1 && return 0
	apt-get update -qq || fail "apt-get update failed" "is the network up?"
}

# Its own file, not the link that leads to another one after the distribution's upgrade.
find_python() {
	local candidate
	for candidate in /usr/bin/python3 python3; do
		"$candidate" -c 'import os, sys
sys.version_info < (3, 11) and sys.exit(1)
print(os.path.realpath(sys.executable))' 2>/dev/null && return
	done
	fail "no Python 3.11 or newer" "install one, and have python3 in the PATH be that"
}

# Of the Python that was found: it may not be the one that the distribution's own name is for.
headers_package() {
	local python
	python=$(realpath .venv/bin/python)
	if is_available "${python##*/}-dev"; then echo "${python##*/}-dev"; else echo python3-dev; fi
}

# The commands in an environment lead to where it was made, which it says (venv, since Python 3.11).
was_moved() {
	local config=
	[ ! -f .venv/pyvenv.cfg ] || config=$(<.venv/pyvenv.cfg)
	[[ "$config" == *$'\n'"command = "* && "$config" != *" $(pwd -P)/.venv"* ]]
}

make_environment() { # extra of pyproject.toml, or nothing
	local python said
	# Of a Python that was replaced nothing is left but the links.
	if was_moved || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
		python=$(find_python)
		"$python" -m venv --clear .venv || fail "$python could not make an environment in .venv" \
			"its own message stands above; has it the module venv, and the disk room?"
	fi
	echo "building the project, and installing Python packages into .venv" # takes a while, and pip is quiet
	said=$(install_project "$1" 2>&1) && return
	# What is partly in C++ (marisa-trie) may not yet be there in a compiled form for a new Python: its source is.
	if [[ "$said" == *"$UNBUILT"* ]] && has_apt; then
		install_packages g++ "$(headers_package)"
		install_project "$1" && return
	else
		printf '%s\n' "$said" >&2
	fi
	fail "pip could not install the project" "$(hint_of "$said")"
}

# Our build's own (hatch_build.py), which pip repeats among much else. Pip has one too, behind it: to see above.
hint_of() { # what pip said
	if [[ "$1" == *"$UNBUILT"* ]]; then
		echo "it takes a C++ compiler and the headers of Python: $COMPILE_BY_HAND"
	elif [[ "$1" =~ hint:\ ([^$'\n']+) && "${BASH_REMATCH[1]}" != "See above"* ]]; then
		echo "${BASH_REMATCH[1]}$(has_apt || echo "; $BY_HAND")"
	else
		echo "its own message stands above; is the network up, and has the disk room?"
	fi
}

install_project() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$1"; } # extra

# Unpacked, not installed: its installation puts a link of its own in the place of /etc/resolv.conf.
unpack_resolved() { # folder
	[ -x "$1/usr/lib/systemd/systemd-resolved" ] && return
	local package
	mkdir -p "$1"
	for package in systemd-resolved libsystemd-shared; do
		(cd "$1" && apt-get download -qq "$package" 2>/dev/null && dpkg-deb --extract "$package"_*.deb . && rm "$package"_*.deb) ||
			fail "apt-get could not fetch $package" "is the network up?"
	done
}

if has_apt; then refresh_lists; fi
case "${1:-}" in
run)
	# shellcheck disable=SC2046
	if has_apt; then install_packages "${RUN_PACKAGES[@]}" $(compiler_packages); else need_commands "${RUN_COMMANDS[@]}"; fi
	make_environment ""
	;;
window)
	# shellcheck disable=SC2046
	if has_apt; then install_packages "${WINDOW_PACKAGES[@]}" $(glib_package); fi
	make_environment "[gui]"
	;;
test)
	has_apt || fail "no apt-get here" "the tests need packages of Debian or Ubuntu"
	# shellcheck disable=SC2046
	install_packages "${TEST_PACKAGES[@]}" "${WINDOW_PACKAGES[@]}" "${SCREEN_PACKAGES[@]}" \
		$(glib_package) $(bpftool_package) $(formatter_package) $(browser_package)
	make_environment "[dev,gui]"
	unpack_resolved .venv/resolved
	;;
*) fail "setup.sh does not know '${1:-}'" "say: packaging/setup.sh run, window or test" ;;
esac
