# Part of `make install` and of the packages' scripts, which are for any sh.

# The port of the SSH session that this runs in, if it does. sudo drops SSH_CONNECTION, but the shell that called it has
# it.
find_ssh_port() {
	pid=$$
	while [ "$pid" -gt 1 ]; do
		port=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=.* //p')
		if [ -n "$port" ]; then echo "$port" && return; fi
		pid=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$pid/stat")
	done
}

# Once the daemon runs, the next SSH login is a question, which only somebody who is logged in can answer.
warn_of_lockout() {
	port=$(find_ssh_port 2>/dev/null) || true # in a container /proc may not tell
	[ -z "$port" ] || echo "tinysnitch: hint: you are logged in by SSH: once tinysnitchd runs, and before you log out, let" \
		"yourself in again: tinysnitch rules add allow - $port tcp-src" >&2
}
