#!/bin/bash
# `make run`: the firewall for the network namespace that it is called in, with the prompt in this terminal. Ctrl-C or
# `q` ends both, and removes the firewall again. With `-- COMMAND` only that shell command is judged.
set -uo pipefail
cd "$(dirname "$0")/.."
. packaging/fail.sh
BIN=$PWD/.venv/bin
LOG=${TINYSNITCH_LOG:-/var/log/tinysnitch.log}
LOOK_S=60 # seconds between two looks at the size of the log

# Why this daemon did not start: its last error in the log, else its last line. Lines of earlier daemons do not count.
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

# Keeps the log of a running daemon from growing without bound: copies it to LOG.1 and empties it, since the daemon has
# the file open and appends to it. Lines written between the two are lost. Without room for the copy the log is dropped:
# it would fill the disk, and the history has its newest part, too.
bound_log() {
	local never
	exec {never}<> <(:) # a pipe that stays empty, to wait on: sleep(1) would be a process that outlives us
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

# The log has a line for each connection. One earlier log is kept beside it.
if is_too_long; then
	mv -f "$LOG" "$LOG.1"
fi
said_before=$(stat -Lc %s "$LOG" 2>/dev/null || echo 0)
# Only root can read a new log, like the history: arguments of programs may hold secrets.
(umask 077 && : >>"$LOG") 2>/dev/null || fail "the log $LOG cannot be written" "TINYSNITCH_LOG names another file"
open=$(find -L "$LOG" "$LOG.1" -maxdepth 0 -type f -user 0 -perm /007 2>/dev/null) # earlier builds made them so
[ -z "$open" ] || xargs -rd '\n' chmod o= <<<"$open"
[ -z "$open" ] || echo "others could read" $open "and secrets in it: now only root can"
setsid "$BIN/tinysnitchd" --no-prompt >>"$LOG" 2>&1 &
daemon=$!
# Waits until our daemon answers (not one of another network namespace that has the same socket) and enforces, however
# long it reads lists before.
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
