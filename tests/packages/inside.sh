#!/bin/bash
# Runs in the bare system, in the judged network namespace: from the first start to the purge.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
fail() { echo "error: $1" && exit 1; }
since() { echo $((($(date +%s%N) - $1) / 1000000)); }

start_daemon() {
	local before
	before=$(date +%s%N)
	tinysnitchd --no-prompt >>/var/log/tinysnitch.log 2>&1 &
	daemon=$!
	until tinysnitch status --json 2>/dev/null | grep -q "\"pid\":$daemon,"; do
		kill -0 "$daemon" || { cat /var/log/tinysnitch.log && fail "the daemon ended"; }
		sleep 0.05
	done
	echo "tinysnitchd stands after $(since "$before") ms"
}

wait_ask() { # what the question has in it
	local line
	until line=$(tinysnitch asks --json | grep "$1"); do sleep 0.05; done
	sed -n '1s/.*"id":"\{0,1\}\([^",}]*\).*/\1/p' <<<"$line"
}

# Unknown programs try to connect, all the time.
try_unknown() {
	while :; do
		echo >>/srv/tried
		curl -s -m 1 http://198.51.100.2:8001/ >/dev/null || true
	done
}

pins_before=$(find /sys/fs/bpf)
start_daemon
before=$(date +%s%N)
curl -sS http://198.51.100.2:8000/ >/srv/page &
curl=$!
id=$(wait_ask /usr/bin/curl)
echo "curl is held: asked after $(since "$before") ms"
[ ! -s /srv/page ] || fail "curl was not held"
tinysnitch answer "$id" yes --for forever >/dev/null
wait "$curl"
[ "$(cat /srv/page)" = welcome ] || fail "curl did not get its page"
echo "curl has its page: $(since "$(cat /srv/started)") ms since the first command on the bare system"
rule=$(grep '^allow.* 8000 ' /etc/tinysnitch.rules)
echo "the rule: $rule"

trying=()
for _ in 1 2 3 4; do try_unknown & trying+=($!); done
before=$(date +%s%N)
apt-get install -y /srv/next.deb </dev/null >/srv/said 2>&1 || { cat /srv/said && fail "no upgrade"; }
grep -q "kill -USR1 $daemon" /srv/said || { cat /srv/said && fail "the upgrade does not say what to do"; }
echo "apt upgrade: $(since "$before") ms"
[ "$(curl -sS http://198.51.100.2:8000/)" = welcome ] || fail "the old version no longer works after the upgrade"
kill -USR1 "$daemon"
wait "$daemon" || true
sleep 1
start_daemon
tinysnitch status --json | grep -q '"version":"[0-9.]*\.next"' || fail "the new version does not run"
grep -qF "$rule" /etc/tinysnitch.rules || fail "the rule is gone"
[ "$(curl -sS http://198.51.100.2:8000/)" = welcome ] || fail "the rule does not hold after the upgrade"
grep -q 8000 <<<"$(tinysnitch log --lines 100000)" || fail "the history is gone"
[ -z "$(dpkg -V tinysnitch)" ] || fail "dpkg -V: $(dpkg -V tinysnitch)"
tried=$(wc -l </srv/tried)
[ "$tried" -ge 10 ] || fail "only $tried unknown connections were tried"
kill "${trying[@]}"
sleep 2 # the last curl gives up after 1

apt-get remove -y tinysnitch </dev/null >/srv/said 2>&1 || { cat /srv/said && fail "no removal"; }
! kill -0 "$daemon" 2>/dev/null || fail "the daemon still runs"
[ -f /etc/tinysnitch.rules ] || fail "the removal took the rules"
[ ! -e /opt/tinysnitch ] || fail "left in /opt: $(find /opt/tinysnitch | head)"
[ "$(curl -sS http://198.51.100.2:8000/)" = welcome ] || fail "the machine is not open after the removal"
! iptables-save 2>/dev/null | grep TINYSNITCH || fail "rules in netfilter are left"
apt-get purge -y tinysnitch </dev/null >/srv/said 2>&1 || { cat /srv/said && fail "no purge"; }
left=$(find / -xdev \( -path /srv -o -path /proc -o -path /sys -o -path /dev \) -prune -o -newer /srv/started \
	-iname '*tinysnitch*' -print)
[ -z "$left" ] || fail "left after the purge: $left"
! grep -r tinysnitch /etc --exclude='*-' -l || fail "left in /etc after the purge"
[ ! -e /run/tinysnitch ] || fail "left in /run"
[ "$(find /sys/fs/bpf)" = "$pins_before" ] || fail "pins are left: $(find /sys/fs/bpf)"
echo "removed and purged: nothing of ours is left; $tried unknown connections were tried"
