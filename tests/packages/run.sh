#!/bin/bash
# `make test-packages`: on a bare Debian 13 in a scratch folder, installs the .deb as a person would, has curl wait for an
# answer, upgrades it while unknown programs try to connect, removes it and purges it. SUITE=noble MIRROR=URL: on Ubuntu
# 24.04. Nothing is installed on this machine: the daemon runs in a network namespace and a cgroup of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
. packaging/fail.sh
. tests/fresh/root.sh
HOST=ts-packages-$$-host
WORLD=ts-packages-$$-world
TOLD=build/packages # what the servers of the world were told

clean_all() {
	clean_up
	ip netns delete "$HOST" 2>/dev/null || true
	ip netns delete "$WORLD" 2>/dev/null || true
}

# A wire between the judged host and the world; in the world a server for the known, and one for the unknown.
make_world() {
	local space
	for space in "$HOST" "$WORLD"; do ip netns add "$space" && ip -n "$space" link set lo up; done
	ip link add wire netns "$HOST" type veth peer name wire netns "$WORLD"
	ip -n "$HOST" address add 198.51.100.1/24 dev wire
	ip -n "$WORLD" address add 198.51.100.2/24 dev wire
	for space in "$HOST" "$WORLD"; do ip -n "$space" link set wire up; done
	rm -rf "$TOLD" && mkdir -p "$TOLD/files" && echo welcome >"$TOLD/files/index.html"
	serve 8000 known
	serve 8001 unknown
}

serve() { # port, name of the log
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" ip netns exec "$WORLD" \
		python3 -u -m http.server --bind 198.51.100.2 --directory "$TOLD/files" "$1" >"$TOLD/$2" 2>&1 &
}

# The same package as the next version: other bytes and another number.
make_next_version() {
	local tree=$TOLD/next
	dpkg-deb -R "$1" "$tree"
	sed -i 's/^\(Version: .*\)-1$/\1-2/' "$tree/DEBIAN/control"
	find "$tree/opt" -path '*/tinysnitch/__init__.py' -exec sed -i 's/^__version__ = "\(.*\)"/__version__ = "\1.next"/' {} +
	(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
	dpkg-deb --root-owner-group -Zgzip -b "$tree" "$ROOT/srv/next.deb" >/dev/null
	rm -rf "$tree"
}

tell_of_lintian() {
	command -v lintian >/dev/null || apt-get install -qq -y --no-install-recommends lintian >/dev/null
	lintian --fail-on error "$@" >"$TOLD/lintian" 2>&1 ||
		{ cat "$TOLD/lintian" && fail "lintian has errors" "see above"; }
	echo "lintian: no errors, $(grep -c '^W:' "$TOLD/lintian") warnings"
}

get_bare_root
trap clean_all EXIT
.venv/bin/python -m release "deb-$(dpkg --print-architecture)" >/dev/null
make_world
deb=(dist/tinysnitch_*.deb)
window=(dist/tinysnitch-window_*.deb)
tell_of_lintian "${deb[@]}" "${window[@]}"
cp "${deb[@]}" "${window[@]}" tests/packages/*.sh "$ROOT/srv/"
make_next_version "${deb[0]}"
# With this machine's network, for apt: nothing of ours runs yet.
enter_root -- /bin/bash /srv/install.sh
# From here on in the judged host. The cgroup namespace makes ours the root.
enter_root nsenter "--net=/run/netns/$HOST" unshare --cgroup -- /bin/bash /srv/inside.sh
if grep -q GET "$TOLD/unknown"; then fail "something unknown passed: $(grep -c GET "$TOLD/unknown") times" "see $TOLD/unknown"; fi
left=$(bpftool cgroup tree "$CGROUP" | sed 1,2d)
[ -z "$left" ] || fail "BPF programs are still attached: $left" "prerm stops the daemon"
echo "nothing unknown passed; $(grep -c GET "$TOLD/known") known connections did"
