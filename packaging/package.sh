# What the packages do when they come and go, for any sh. release/formats.py makes their scripts: ssh_session.sh, this
# file, and the call of one of these functions. Nothing is started or enabled: that could cut an SSH session off.

PLACE=/opt/tinysnitch

has_systemd() { [ -d /run/systemd/system ]; }

tell_systemd() { if has_systemd; then systemctl "$@"; fi; }

# The pid of the daemon that answers on the socket, whoever started it.
find_running() { tinysnitch status --json 2>/dev/null | sed -n 's/.*"pid":\([0-9]*\),.*/\1/p'; }

# The other's commands would go first in PATH.
refuse_another() {
	if [ -e /usr/local/bin/tinysnitchd ] || [ -L /usr/local/bin/tinysnitchd ]; then
		echo "tinysnitch: error: another tinysnitch is installed: /usr/local/bin/tinysnitchd" >&2
		echo "tinysnitch: hint: take it away first: \`make uninstall\` in its clone, or pipx uninstall --global tinysnitch" >&2
		exit 1
	fi
}

# Python writes bytecode beside its files, and no package manager knows of it.
remove_bytecode() { # folders
	find "$@" -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
}

# After an installation and after an upgrade. A restart leaves the rules in the kernel: nothing new passes meanwhile.
configured() {
	getent group tinysnitch >/dev/null || groupadd --system tinysnitch
	remove_bytecode "$PLACE"
	# Else the first start would do it, while nothing is decided.
	"$PLACE/bin/python" -I -m compileall -q -j 0 "$PLACE/lib/python/site-packages" >/dev/null 2>&1 || true
	tell_systemd daemon-reload
	if has_systemd && systemctl is-active --quiet tinysnitchd; then
		systemctl restart tinysnitchd && echo "tinysnitch: the new version runs; nothing new passed in between" ||
			echo "tinysnitch: the new version does not start, and nothing new passes: systemctl status tinysnitchd" >&2
		return 0
	fi
	running=$(find_running) || true
	if [ -n "$running" ]; then
		echo "tinysnitch: the old version still runs (process $running): end it by kill -USR1 $running, and start" \
			"tinysnitchd anew; nothing new passes in between"
		return 0
	fi
	tell_what_is_next
}

tell_what_is_next() {
	echo "tinysnitch is installed, and does nothing yet. What is next, as root:"
	if has_systemd || [ ! -e /proc/1/comm ] || [ -d /etc/systemd/system ]; then
		echo "  systemctl enable --now tinysnitchd    hold what no rule covers, from now on and at each boot"
	else
		echo "  tinysnitchd &                         hold what no rule covers, from now on"
	fi
	echo "  tinysnitch                            be asked, and answer, in this terminal"
	warn_of_lockout
}

# The machine is open, and has no process, netfilter rule or BPF program of ours, when this is done.
before_removal() {
	tell_systemd disable --now tinysnitchd tinysnitch-closed 2>/dev/null || true
	# tinysnitch-open still runs after that, and needs the commands that are removed next.
	while [ "$(tell_systemd is-active tinysnitch-open 2>/dev/null)" = deactivating ]; do sleep 0.1; done
	running=$(find_running) || true
	if [ -n "$running" ]; then
		kill "$running"
		for _ in $(seq 100); do kill -0 "$running" 2>/dev/null && sleep 0.1; done
	fi
	if ! tinysnitch-iptables-remove 2>/dev/null; then tinysnitch-closed remove || true; fi
	tinysnitch-closed open || true
	remove_bytecode "$PLACE"
}

after_removal() {
	tell_systemd daemon-reload
	tell_systemd reset-failed 'tinysnitch*' 2>/dev/null || true
}

forget_all() {
	rm -rf /etc/tinysnitch.rules /etc/tinysnitch.d /var/lib/tinysnitch /run/tinysnitch /var/log/tinysnitch.log*
	if getent group tinysnitch >/dev/null; then groupdel tinysnitch; fi
}

window_configured() {
	echo "tinysnitch-window: to be asked in a window, in your desktop session:"
	echo "  systemctl --user enable --now tinysnitch-prompt"
}

before_window_removal() { remove_bytecode "$PLACE"/lib/python/site-packages/PySide6 "$PLACE"/lib/python/site-packages/shiboken6; }
