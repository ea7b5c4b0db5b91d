#!/bin/bash
# `make test-fresh`: makes a bare Debian 13 in a scratch folder, clones the project's HEAD into it, and runs `make setup` and
# the lab's core tests there. What debootstrap made is kept in build/fresh for the next time; all else is removed, also on
# failure.
# `make test-fresh SUITE=forky MIRROR=URL`: on the next Debian, SUITE=noble: on Ubuntu 24.04.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
. tests/fresh/root.sh

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

get_bare_root
carry_pip_settings
git -c safe.directory="$PWD" clone -q --no-local . "$ROOT/srv/tinysnitch"
cp tests/fresh/inside.sh "$ROOT/srv/inside.sh"
enter_root -- /bin/bash /srv/inside.sh
