#!/bin/bash
# `make run`: the firewall for the network namespace it is called in, with the prompt in this terminal. Ctrl-C takes
# everything away again, as `q` does. With `-- COMMAND` only that shell command is judged.
set -uo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
BIN=$PWD/.venv/bin
LOG=${TINYSNITCH_LOG:-/var/log/tinysnitch.log}
LOOK_S=60 # how often it is seen whether the log has grown too long

# Of this daemon, not of earlier ones: its error says more than what it says last, but it may have said none.
read_said() { tail -c "+$((said_before + 1))" "$LOG" | grep -a "$1" | tail -n 1; }
read_why() {
	local why
	why=$(read_said '^tinysnitch: error: ')
	why=${why#tinysnitch: error: }
	why=${why:-$(read_said .)}
	echo "${why:+: $why}"
}

[ "$(id -u)" -eq 0 ] || fail "the firewall needs root" "call it as root: sudo make run"
if [ "${1:-}" = "--" ]; then
	exec "$BIN/tinysnitch" run -- /bin/sh -c "$2"
fi

is_too_long() { [ -f "$LOG" ] && [ ! -L "$LOG" ] && [ "$(stat -c %s "$LOG")" -gt $((64 << 20)) ]; }

# The daemon has the file open, and appends to it: what is in it can be put aside, but for what comes in that moment.
# Without room for that it is dropped: the log would fill the disk, and the history has the newest of it as well.
bound_log() {
	local never
	exec {never}<> <(:) # nothing comes from there: to wait so leaves no process behind, as sleep(1) would
	while kill -0 "$daemon" 2>/dev/null; do
		read -rt "$LOOK_S" -u "$never"
		if is_too_long; then
			cp -p --remove-destination "$LOG" "$LOG.1" || rm -f "$LOG.1"
			: >"$LOG"
		fi
	done
}

daemon=
bounder=
is_on=
stop_daemon() {
	[ -z "$bounder" ] || kill "$bounder" 2>/dev/null
	[ -n "$daemon" ] || return
	kill -TERM "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null && [ -n "$is_on" ] && echo "tinysnitch is off"
	daemon=
}
trap stop_daemon EXIT
# The terminal sends Ctrl-C to every process in it: the daemon gets a session of its own, and is stopped by the trap.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# It has a line for each connection. Beside it stays what is of before, and no more.
if is_too_long; then
	mv -f "$LOG" "$LOG.1"
fi
said_before=$(stat -Lc %s "$LOG" 2>/dev/null || echo 0)
# A new one is root's alone, as the history is: arguments of programs may hold secrets.
(umask 077 && : >>"$LOG") 2>/dev/null || fail "the log $LOG cannot be written" "TINYSNITCH_LOG names another file"
setsid "$BIN/tinysnitchd" >>"$LOG" 2>&1 &
daemon=$!
# Ours, not one of another namespace that has the socket; and it stands, whatever long list it waits for.
until "$BIN/tinysnitch" status --json 2>/dev/null | grep -q "\"pid\":$daemon,.*\"not_enforcing\":\"\""; do
	kill -0 "$daemon" 2>/dev/null || fail "the firewall did not start$(read_why)" "$LOG has more"
	sleep 0.1
done
is_on=1
bound_log </dev/null >/dev/null 2>&1 &
bounder=$!
echo "tinysnitch is on: rules in /etc/tinysnitch.rules, log in $LOG"
echo "Ctrl-C takes it away again."
"$BIN/tinysnitch" prompt
