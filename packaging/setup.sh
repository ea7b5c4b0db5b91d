#!/bin/bash
# Installs what is missing, and nothing else: `setup.sh run` for the firewall, `setup.sh window` for its window, too,
# `setup.sh test` for the tests. It installs packages on Debian 13, Ubuntu 24.04 and newer; elsewhere it uses what was
# installed by hand, and names what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
umask 022 # other users run the commands, too (install.sh)

RUN_COMMANDS=(clang iptables ip6tables setsid) # needed where apt-get cannot install RUN_PACKAGES
BY_HAND="dnf install clang llvm libbpf-devel kernel-headers glibc-devel iptables-nft util-linux"
BY_HAND+=", pacman -S python clang llvm libbpf linux-api-headers iptables util-linux, or what has them here"
RUN_PACKAGES=(python3-venv libbpf1 libbpf-dev libc6-dev linux-libc-dev iptables iproute2 kmod util-linux)
TEST_PACKAGES=(gcc dnsmasq-base unbound nginx-light openssl curl wget bind9-dnsutils iputils-ping git
	openssh-client openssh-server conntrack iperf3 procps wireguard-tools groff-base mandoc zsh)
# What Qt loads to show a window, and a font.
WINDOW_PACKAGES=(libegl1 libgl1 libfontconfig1 libdbus-1-3 libx11-xcb1 libxcb-cursor0 libxcb-icccm4
	libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0
	libxcb-xkb1 libxkbcommon-x11-0 fonts-dejavu-core)
# Screens (X11, Wayland) and hands for its tests.
SCREEN_PACKAGES=(xvfb xdotool xclip sway wtype)
UNBUILT="Failed building wheel" # what pip says if it cannot compile a package
COMPILE_BY_HAND="apt install g++ python3-dev, dnf install gcc-c++ python3-devel, pacman -S gcc, or what has them here"
APT_LOCK_S=300 # to wait for another apt: a machine that was just started upgrades itself
POLICY=/usr/sbin/policy-rc.d # decides whether a package may start its service (invoke-rc.d(8))
owns_policy=

has_apt() { command -v apt-get >/dev/null; }

# Fails if one of the commands is missing. Headers are not checked: the compiler names the missing ones.
need_commands() {
	local command missing=()
	for command in "$@"; do command -v "$command" >/dev/null || missing+=("$command"); done
	[ ${#missing[@]} -eq 0 ] || fail "these are missing, and there is no apt-get to install them: ${missing[*]}" "$BY_HAND"
}

is_installed() { [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_candidate() { [[ "$(apt-cache policy "$1" 2>/dev/null)" =~ Candidate:\ [0-9] ]]; }

is_available() { is_installed "$1" || has_candidate "$1"; }

# clang with the BPF target, and llvm-strip: version 19 if there is a package of it, else the distribution's default.
compiler_packages() { if is_available clang-19; then echo clang-19 llvm-19; else echo clang llvm; fi; }

formatter_package() { if is_available clang-format-19; then echo clang-format-19; else echo clang-format; fi; }

# Debian 12 has the package name from before the 64-bit time_t transition.
glib_package() { if is_available libglib2.0-0t64; then echo libglib2.0-0t64; else echo libglib2.0-0; fi; }

# Ubuntu 24.04 has no package bpftool: its command starts the one among the tools of the running kernel.
bpftool_package() {
	local package
	for package in bpftool "linux-tools-$(uname -r)" linux-tools-generic; do
		if is_available "$package"; then
			echo "$package"
			return
		fi
	done
}

# A browser, for the test that counts the keys of a page; without a package of it (Ubuntu) the test is skipped.
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
		"Debian 13, Ubuntu 24.04 with its universe, and newer ones have it"
	fail "apt-get could not install $*" "see its own message above; is the network up?"
}

# Until allow_services(), no installed package may start its service: the tests need the programs nginx and sshd, and
# not that they run.
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

# Updates apt's package lists if they lack what is needed: the functions above choose names from them, and a new machine
# has none.
refresh_lists() {
	[ "$(id -u)" -eq 0 ] || return 0
	has_candidate iptables && has_candidate libbpf1 && return 0
	apt-get update -qq || fail "apt-get update failed" "is the network up?"
}

# Prints the path of Python itself, python3.13 say: the link python3 leads to another version after an upgrade.
find_python() {
	local candidate
	for candidate in /usr/bin/python3 python3; do
		"$candidate" -c 'import os, sys
sys.version_info < (3, 11) and sys.exit(1)
print(os.path.realpath(sys.executable))' 2>/dev/null && return
	done
	fail "there is no Python 3.11 or newer" "install one, so that it is the python3 in PATH"
}

# The headers of the Python in .venv, which need not be the version that the package python3-dev is for.
headers_package() {
	local python
	python=$(realpath .venv/bin/python)
	if is_available "${python##*/}-dev"; then echo "${python##*/}-dev"; else echo python3-dev; fi
}

# Whether the clone was moved: commands in an environment name the path where it was made, which pyvenv.cfg tells (venv,
# since Python 3.11).
was_moved() {
	local config=
	[ ! -f .venv/pyvenv.cfg ] || config=$(<.venv/pyvenv.cfg)
	[[ "$config" == *$'\n'"command = "* && "$config" != *" $(pwd -P)/.venv"* ]]
}

make_environment() { # extra of pyproject.toml, or nothing
	local python said
	# The environment's Python is a link, which leads nowhere once the distribution replaced that Python.
	if was_moved || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
		python=$(find_python)
		"$python" -m venv --clear .venv || fail "$python could not make an environment in .venv" \
			"see its own message above; has it the module venv, and has the disk room?"
	fi
	echo "building the project, and installing Python packages into .venv" # it takes a while, and pip says nothing
	said=$(install_project "$1" 2>&1) && return
	# A package that is partly in C++ (marisa-trie) may not be compiled yet for a new Python: then pip compiles its source.
	if [[ "$said" == *"$UNBUILT"* ]] && has_apt; then
		install_packages g++ "$(headers_package)"
		install_project "$1" && return
	else
		printf '%s\n' "$said" >&2
	fi
	fail "pip could not install the project" "$(hint_of "$said")"
}

# The hint for a failed pip: that of our own build (hatch_build.py), which pip repeats among much else. Pip's own hint
# comes after it, and only says to see above.
hint_of() { # what pip said
	if [[ "$1" == *"$UNBUILT"* ]]; then
		echo "it needs a C++ compiler and the headers of Python: $COMPILE_BY_HAND"
	elif [[ "$1" =~ hint:\ ([^$'\n']+) && "${BASH_REMATCH[1]}" != "See above"* ]]; then
		echo "${BASH_REMATCH[1]}$(has_apt || echo "; $BY_HAND")"
	else
		echo "see its own message above; is the network up, and has the disk room?"
	fi
}

install_project() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$1"; } # extra

# Unpacks systemd-resolved for the tests. It is not installed, since that replaces /etc/resolv.conf by a link.
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
	has_apt || fail "there is no apt-get here" "the tests need packages of Debian or Ubuntu"
	# shellcheck disable=SC2046
	install_packages "${TEST_PACKAGES[@]}" "${WINDOW_PACKAGES[@]}" "${SCREEN_PACKAGES[@]}" \
		$(glib_package) $(bpftool_package) $(formatter_package) $(browser_package)
	make_environment "[dev,gui]"
	unpack_resolved .venv/resolved
	;;
*) fail "setup.sh does not know '${1:-}'" "say: packaging/setup.sh run, window or test" ;;
esac
