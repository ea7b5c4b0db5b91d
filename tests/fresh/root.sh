# Sourced by the scripts that need a bare Debian or Ubuntu, with errexit: makes it in a scratch folder, ROOT, which is
# removed again at their end, also on failure. What debootstrap made is kept in build/fresh for the next time.
SUITE=${SUITE:-trixie}
COMPONENTS=main
KEYRING=debian-archive-keyring
[[ $SUITE =~ ^(trixie|forky|sid)$ ]] || { COMPONENTS=main,universe && KEYRING=ubuntu-keyring; }
KEYS=/usr/share/keyrings/${KEYRING/#ubuntu-/ubuntu-archive-}.gpg
CACHE=$PWD/build/fresh/$SUITE.tar
# All processes are in it.
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
		wait 2>/dev/null || true
		while grep -q 'populated 1' "$CGROUP/cgroup.events"; do sleep 0.1; done
		find "$CGROUP" -depth -type d -exec rmdir {} +
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

get_bare_root() {
	[ "$(id -u)" -eq 0 ] || fail "a new root needs root" "call it as root, by sudo"
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
	cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
	mkdir "$CGROUP"
}

# Runs a command in it, in a mount namespace of its own. Without a pid namespace: the firewall names processes by the
# machine's own pids. The words before `--` enter further namespaces.
enter_root() {
	local words=()
	while [ "$1" != -- ]; do words+=("$1") && shift; done
	shift
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CGROUP" "${words[@]}" \
		unshare --mount tests/fresh/enter.sh "$ROOT" "$@"
}
