#!/bin/bash
# `make test-fresh`: makes a bare Debian 13 in a scratch folder, clones the project's HEAD into it, and runs `make setup` and
# the lab's core tests there. What debootstrap made is kept in build/fresh for the next time; all else is removed, also on
# failure.
# `make test-fresh SUITE=forky MIRROR=URL`: on the next Debian, SUITE=noble: on Ubuntu 24.04.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
SUITE=${SUITE:-trixie}
COMPONENTS=main
KEYRING=debian-archive-keyring
[[ $SUITE =~ ^(trixie|forky|sid)$ ]] || { COMPONENTS=main,universe && KEYRING=ubuntu-keyring; }
KEYS=/usr/share/keyrings/${KEYRING/#ubuntu-/ubuntu-archive-}.gpg
CACHE=$PWD/build/fresh/$SUITE.tar
CGROUP=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/tinysnitch-fresh-$$
ROOT=

# The mirror is the one that this machine's apt uses; MIRROR names another.
find_mirror() { # suite
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' |
		awk -v suite="$1" '$2 == suite && $3 == "main" { print $1; exit }'
}

# All processes are in the cgroup. The mounts are in a namespace that ends with the last of them.
clean_up() {
	if [ -d "$CGROUP" ]; then
		echo 1 >"$CGROUP/cgroup.kill"
		while grep -q 'populated 1' "$CGROUP/cgroup.events"; do sleep 0.1; done
		rmdir "$CGROUP"
	fi
	[ -z "$ROOT" ] || rm -rf --one-file-system "$ROOT"
}

make_root() {
	ROOT=$(mktemp -d -t tinysnitch-fresh-XXXXXX)
	chmod 755 "$ROOT"
	if [ ! -e "$CACHE" ]; then
		mkdir -p "$(dirname "$CACHE")"
		debootstrap --variant=minbase --components="$COMPONENTS" --keyring="$KEYS" \
			"$SUITE" "$ROOT" "$MIRROR" >"$CACHE.log" ||
			fail "debootstrap failed" "read $CACHE.log"
		tar -C "$ROOT" -cf "$CACHE.new" . && mv "$CACHE.new" "$CACHE"
	else
		tar -C "$ROOT" -xf "$CACHE"
	fi
}

write_sources() {
	printf "deb %s %s ${COMPONENTS//,/ }\\n" "$MIRROR" "$SUITE" "$MIRROR" "$SUITE-updates" >"$ROOT/etc/apt/sources.list"
	local security
	security=$(find_mirror "$SUITE-security")
	[ -z "$security" ] || printf 'deb %s %s main\n' "$security" "$SUITE-security" >>"$ROOT/etc/apt/sources.list"
}

# Copies how this machine reaches package indexes: pip's settings, and the files and folders that these name. The latter are
# put below /srv/carried, since at their own places a package could overwrite them.
carry_pip_settings() {
	local settings=("$ROOT/srv/pip-environment") place
	env | sed -n 's/^\(PIP_[A-Z_]*\)=\(.*\)$/export \1="\2"/p' >"${settings[0]}"
	for place in /etc/pip.conf "$HOME/.config/pip/pip.conf"; do
		[ -e "$place" ] || continue
		settings+=("$ROOT${place/#$HOME//srv}")
		install -D -m 644 "$place" "${settings[-1]}"
	done
	while read -r place; do
		[ -e "$place" ] || continue
		mkdir -p "$ROOT/srv/carried$(dirname "$place")"
		cp -aL "$place" "$ROOT/srv/carried$place"
	done < <(sed -nE 's#^.*[=" ](/[^" ]*)"?$#\1#p' "${settings[@]}" | sort -u)
	sed -Ei 's#([=" ])(/[^" ]*)#\1/srv/carried\2#g' "${settings[@]}"
}

[ "$(id -u)" -eq 0 ] || fail "a new root needs root" "call it as root: sudo make test-fresh"
if [ ! -e "$KEYS" ] || ! command -v debootstrap >/dev/null; then
	apt-get install -qq -y --no-install-recommends debootstrap "$KEYRING" >/dev/null
fi
MIRROR=${MIRROR:-$(find_mirror "$SUITE")}
[ -n "$MIRROR" ] || fail "apt on this machine has no list of a mirror's of $SUITE" \
	"apt-get update, or name one: make test-fresh MIRROR=URL"
trap clean_up EXIT
trap 'exit 130' INT TERM
make_root
write_sources
carry_pip_settings
cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
git -c safe.directory="$PWD" clone -q --no-local . "$ROOT/srv/tinysnitch"
cp tests/fresh/inside.sh "$ROOT/srv/inside.sh"
# Without a pid namespace: the firewall names processes by the machine's own pids.
mkdir "$CGROUP"
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" unshare --mount tests/fresh/enter.sh "$ROOT" /bin/bash /srv/inside.sh
