#!/bin/bash
# `make install`: the commands in /usr/local/bin, the units of the daemon, of its end, of the window and of a boot at which
# the daemon cannot be executed (both are not enabled), and the group whose members answer for themselves. `make
# uninstall` takes commands and units away; rules, lists, history and the group stay. DESTDIR is put before every path.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
umask 022
DESTDIR=${DESTDIR:-}
COMMANDS=$DESTDIR/usr/local/bin
CLOSED=$COMMANDS/tinysnitch-closed # a copy: it is for when what the others lead to is gone
UNITS=$DESTDIR/etc/systemd/system
PROMPT_UNIT=$DESTDIR/etc/systemd/user/tinysnitch-prompt.service

# Whoever may change these files would become root by the unit: each folder above them counts too.
find_foreign() {
	local path=$PWD
	while [ "$path" != / ]; do
		find "$path" -maxdepth 0 \( ! -user root -o -perm /022 ! -perm -1000 \)
		path=$(dirname "$path")
	done
	find "$PWD/src" "$PWD/.venv" ! -type l \( ! -user root -o -perm /022 \) -print -quit
}

# The commands are for whoever the daemon may answer to, and the window runs as the user who called sudo: what a umask of
# 077 kept from them is made theirs to read. Not what git keeps beside it: its remote may have a password.
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

# The process of a daemon that answers, whoever started it.
find_running() {
	is_staged || .venv/bin/tinysnitch status --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' || true
}

# What an upgrade, or a first installation, still needs.
tell_what_is_next() {
	local running
	running=$(find_running)
	if has_systemd && systemctl is-active --quiet tinysnitchd; then
		echo "installed. What runs is still the earlier one, until: systemctl restart tinysnitchd"
	elif [ -n "$running" ]; then
		echo "installed. What runs (process $running) is still the earlier one," \
			"until: kill -USR1 $running, and tinysnitchd is started anew"
	elif has_systemd || is_staged; then
		echo "installed. To start it, now and at each boot: systemctl enable --now tinysnitchd"
		is_staged || warn_of_lockout
	else
		echo "installed. No systemd runs here, so nothing starts tinysnitchd yet: have it started as root before the network is" \
			"up, and ended by SIGTERM; where systemd boots: systemctl enable tinysnitchd"
		warn_of_lockout
	fi
}

# It would put back the rules that are removed, and nothing would be left to end it with.
refuse_while_it_runs() {
	local running
	running=$(find_running)
	[ -z "$running" ] ||
		fail "tinysnitchd runs, as process $running, and systemd did not start it" "kill $running, then make uninstall"
}

# An earlier systemd than 254 knows no pauses that grow, and warns of the words for them whenever it reads the unit.
drop_unknown_words() {
	local version=254
	if has_systemd; then version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p'); fi
	if [ "${version:-254}" -lt 254 ]; then sed -i '/^RestartSteps=/d; /^RestartMaxDelaySec=/d' "$1"; fi
}

# The port of the SSH that this is typed over, if it is: sudo takes the variable away, but not from who called it.
find_ssh_port() {
	local pid=$$ port
	while [ "$pid" -gt 1 ]; do
		port=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=.* //p')
		if [ -n "$port" ]; then echo "$port" && return; fi
		pid=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$pid/stat")
	done
}

# The next login is a question, which only somebody who is logged in can answer.
warn_of_lockout() {
	local port
	port=$(find_ssh_port 2>/dev/null) || true # in a container it may not be told
	[ -z "$port" ] || echo "tinysnitch: hint: you are here by SSH: once it is started, let yourself in again before you" \
		"log out: tinysnitch rules add allow - $port tcp-src" >&2
}

# A daemon that died left the machine closed, and what would open it is about to go, or is gone.
open_again() {
	local python=.venv/bin/python remove=.venv/bin/tinysnitch-iptables-remove
	is_staged || { [ -x "$python" ] && [ -x "$remove" ] && "$remove"; } || packaging/tinysnitch-closed remove || true
}

is_staged || [ "$(id -u)" -eq 0 ] || fail "only root can install" "sudo make install"
case "${1:-}" in
install)
	foreign=$(find_foreign)
	[ -z "$foreign" ] || fail "others than root can change ${foreign%%$'\n'*}, which root would run" \
		"clone it as root into /opt/tinysnitch, and install from there"
	.venv/bin/python -m compileall -q src || true # else the next start would, while nothing is decided
	let_others_read
	tell_of_closed_place
	mkdir -p "$COMMANDS" "$UNITS" "$(dirname "$PROMPT_UNIT")"
	for command in "$PWD"/.venv/bin/tinysnitch*; do ln -sf "$command" "$COMMANDS/"; done
	install -m 755 packaging/tinysnitch-closed "$CLOSED"
	install -m 644 packaging/tinysnitchd.service packaging/tinysnitch-{closed,open}.service "$UNITS"
	drop_unknown_words "$UNITS/tinysnitchd.service"
	install -m 644 packaging/tinysnitch-prompt.service "$PROMPT_UNIT"
	is_staged || getent group tinysnitch >/dev/null || groupadd --system tinysnitch
	tell_systemd daemon-reload
	tell_what_is_next
	;;
uninstall)
	tell_systemd disable --now tinysnitchd tinysnitch-closed 2>/dev/null || true
	# It goes on after that, and needs what is taken away below.
	while [ "$(tell_systemd is-active tinysnitch-open)" = deactivating ]; do sleep 0.1; done
	refuse_while_it_runs
	open_again
	for command in "$COMMANDS"/tinysnitch*; do
		if [ "$(dirname "$(readlink "$command")")" = "$PWD/.venv/bin" ]; then rm "$command"; fi
	done
	rm -f "$CLOSED" "$UNITS"/{tinysnitchd,tinysnitch-closed,tinysnitch-open}.service "$PROMPT_UNIT"
	tell_systemd daemon-reload
	tell_systemd reset-failed 'tinysnitch*'
	echo "uninstalled. The group tinysnitch, /etc/tinysnitch.rules, /etc/tinysnitch.d and /var/lib/tinysnitch are left."
	;;
*) fail "install.sh does not know '${1:-}'" "say: packaging/install.sh install, or packaging/install.sh uninstall" ;;
esac
