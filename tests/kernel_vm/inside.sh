#!/bin/bash
# inside.sh PROJECT RESULT WORDS...: runs in the virtual machine. It mounts and loads what a booted system would have, runs
# pytest with WORDS, and writes the exit status to RESULT.
set -uo pipefail
cd "$1"
result=$2
shift 2
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup /sys/fs/cgroup
modprobe -a nfnetlink_queue xt_bpf xt_NFQUEUE xt_conntrack xt_mark xt_socket veth nf_tables nft_compat
ip link set lo up
mkdir -p /run/netns
uname -a
# A question to a resolver may be held longer than the usual 5 s: here the command that answers takes seconds to start.
export TINYSNITCH_LAB_PATIENCE=20 PYTHONDONTWRITEBYTECODE=1 RES_OPTIONS="timeout:30 attempts:5"
.venv/bin/python -m pytest -q -p no:cacheprovider -o faulthandler_timeout=900 "$@"
echo $? >"$result"
sync "$result"
