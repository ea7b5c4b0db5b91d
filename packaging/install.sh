#!/bin/bash
# `make install` installs:
# - the commands, as links in /usr/local/bin;
# - the systemd units: tinysnitchd, tinysnitch-open (opens the network once the daemon is stopped), tinysnitch-closed
#   (keeps a boot closed at which the daemon cannot be executed) and the user unit of the window; none is enabled;
# - man pages and completion, made on the spot (release/manual);
# - the group tinysnitch, whose members answer for their own processes.
# `make uninstall` removes commands and units; rules, lists, history and the group stay. DESTDIR is put before each path.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
. packaging/ssh_session.sh
umask 022
DESTDIR=${DESTDIR:-}
COMMANDS=$DESTDIR/usr/local/bin
CLOSED=$COMMANDS/tinysnitch-closed # a copy, not a link: it must still be there when the clone or its Python is gone
SHARE=$DESTDIR/usr/local/share # man pages, and completion of bash, zsh and fish
UNITS=$DESTDIR/etc/systemd/system
PROMPT_UNIT=$DESTDIR/etc/systemd/user/tinysnitch-prompt.service

# Prints files, and folders above them, that somebody else than root can change: root runs these files by the unit.
find_foreign() {
	local path=$PWD
	while [ "$path" != / ]; do
		find "$path" -maxdepth 0 \( ! -user root -o -perm /022 ! -perm -1000 \)
		path=$(dirname "$path")
	done
	find "$PWD/src" "$PWD/.venv" ! -type l \( ! -user root -o -perm /022 \) -print -quit
}

# Other users call the commands, and the window runs as the user who called sudo: a umask of 077 may have kept the files
# from them. The rest of the clone stays as it is: the address of git's remote may hold a password.
let_others_read() { chmod a+rx . && chmod -R a+rX src .venv || true; }

tell_of_closed_place() {
	local path=$PWD
	while path=$(dirname "$path") && [ "$path" != / ]; do
		[ -z "$(find "$path" -maxdepth 0 ! -perm -001)" ] ||
			echo "tinysnitch: only root can use the commands: nobody else may enter $path" >&2
	done
}

is_staged() { [ -n "$DESTDIR" ]; }

has_systemd() { ! is_staged && [ -d /run/systemd/system ]; }

tell_systemd() { if has_systemd; then systemctl "$@"; fi; }

# The pid of the daemon that answers on the socket, whoever started it.
find_running() {
	is_staged || .venv/bin/tinysnitch status --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' || true
}

# Says what to do next, after an upgrade or a first installation.
tell_what_is_next() {
	local running
	running=$(find_running)
	if has_systemd && systemctl is-active --quiet tinysnitchd; then
		echo "installed. The old version runs until you call: systemctl restart tinysnitchd"
	elif [ -n "$running" ]; then
		echo "installed. The old version still runs (process $running):" \
			"end it by kill -USR1 $running, and start tinysnitchd anew"
	elif has_systemd || is_staged; then
		echo "installed. To start it, now and at each boot: systemctl enable --now tinysnitchd"
		is_staged || warn_of_lockout
	else
		echo "installed. No systemd runs here, so nothing starts tinysnitchd yet: have your init system start it as root before" \
			"the network is up, and end it by SIGTERM; if systemd will boot this system: systemctl enable tinysnitchd"
		warn_of_lockout
	fi
}

# A running daemon would put its netfilter rules back, and uninstall removes the commands that take them away.
refuse_while_it_runs() {
	local running
	running=$(find_running)
	[ -z "$running" ] ||
		fail "tinysnitchd runs, as process $running, and systemd did not start it" "kill $running, then make uninstall"
}

# systemd before 254 has no growing pauses between restarts, and warns of these settings whenever it reads the unit.
drop_unknown_settings() {
	local version=254
	if has_systemd; then version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p'); fi
	if [ "${version:-254}" -lt 254 ]; then sed -i '/^RestartSteps=/d; /^RestartMaxDelaySec=/d' "$1"; fi
}

# Removes the netfilter rules of a daemon that died: they close the machine, and the commands that open it are removed
# next.
open_again() {
	local python=.venv/bin/python remove=.venv/bin/tinysnitch-iptables-remove
	is_staged || { [ -x "$python" ] && [ -x "$remove" ] && "$remove"; } || packaging/tinysnitch-closed remove || true
}

is_staged || [ "$(id -u)" -eq 0 ] || fail "only root can install" "sudo make install"
case "${1:-}" in
install)
	foreign=$(find_foreign)
	[ -z "$foreign" ] || fail "somebody else than root can change ${foreign%%$'\n'*}, which root would run" \
		"clone it as root into /opt/tinysnitch, and install from there"
	.venv/bin/python -m compileall -q src || true # else the next start would do it, while nothing is decided
	let_others_read
	tell_of_closed_place
	mkdir -p "$COMMANDS" "$UNITS" "$(dirname "$PROMPT_UNIT")"
	for command in "$PWD"/.venv/bin/tinysnitch*; do ln -sf "$command" "$COMMANDS/"; done
	install -m 755 packaging/tinysnitch-closed "$CLOSED"
	install -m 644 packaging/tinysnitchd.service packaging/tinysnitch-{closed,open}.service "$UNITS"
	drop_unknown_settings "$UNITS/tinysnitchd.service"
	install -m 644 packaging/tinysnitch-prompt.service "$PROMPT_UNIT"
	.venv/bin/python -m release.manual "$SHARE" || true # no reason to leave the rest out
	is_staged || getent group tinysnitch >/dev/null || groupadd --system tinysnitch
	tell_systemd daemon-reload
	tell_what_is_next
	;;
uninstall)
	tell_systemd disable --now tinysnitchd tinysnitch-closed 2>/dev/null || true
	# tinysnitch-open still runs after that, and needs the commands that are removed below.
	while [ "$(tell_systemd is-active tinysnitch-open)" = deactivating ]; do sleep 0.1; done
	refuse_while_it_runs
	open_again
	for command in "$COMMANDS"/tinysnitch*; do
		if [ "$(dirname "$(readlink "$command")")" = "$PWD/.venv/bin" ]; then rm "$command"; fi
	done
	rm -f "$SHARE"/man/man[1-8]/tinysnitch* "$SHARE"/bash-completion/completions/tinysnitch* \
		"$SHARE"/zsh/site-functions/_tinysnitch* "$SHARE"/fish/vendor_completions.d/tinysnitch*
	rm -f "$CLOSED" "$UNITS"/{tinysnitchd,tinysnitch-closed,tinysnitch-open}.service "$PROMPT_UNIT"
	tell_systemd daemon-reload
	tell_systemd reset-failed 'tinysnitch*'
	echo "uninstalled. The group tinysnitch, /etc/tinysnitch.rules, /etc/tinysnitch.d and /var/lib/tinysnitch are left."
	;;
*) fail "install.sh does not know '${1:-}'" "say: packaging/install.sh install, or packaging/install.sh uninstall" ;;
esac
