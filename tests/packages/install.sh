#!/bin/bash
# Runs in the bare system: what a person types there first, and what that brought.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
find / -xdev | sort >/srv/files-before
date +%s%N >/srv/started
apt-get update -qq
apt-get install -y /srv/tinysnitch_*.deb curl </dev/null >/srv/said 2>&1 || { cat /srv/said && exit 1; }
echo "apt install: $((($(date +%s%N) - $(cat /srv/started)) / 1000000)) ms since the first command, with apt-get update"
grep -E '^(Need to get|After this operation|  *Download size|  *Space needed)' /srv/said || true
sed -n '/^Setting up tinysnitch /,/^Setting up \|^Processing/p' /srv/said
for word in clang gcc cc pip pip3 make git; do
	if command -v "$word" >/dev/null; then echo "error: $word was installed" && exit 1; fi
done
[ ! -e /usr/include/linux ] || { echo "error: headers were installed" && exit 1; }
dpkg -V tinysnitch
if pgrep -f tinysnitchd 2>/dev/null; then echo "error: the daemon was started" && exit 1; fi
# As `apt install` of the window would, but for later: it is simulated here, to see that its needs have these names.
apt-get install -s /srv/tinysnitch-window_*.deb | tail -n 1
