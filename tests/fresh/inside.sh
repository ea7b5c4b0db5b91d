#!/bin/bash
# Does what a person does on a bare machine: install git and make, clone (done already), `make setup`, and run the tests.
set -euo pipefail
. /srv/pip-environment
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends git make >/dev/null
cd /srv/tinysnitch
make setup
before=$(date +%s%N)
make setup
echo "make setup a second time: $((($(date +%s%N) - before) / 1000000)) ms"
.venv/bin/tinysnitch --help >/dev/null
make setup-test
# Ubuntu's bpftool is a script that looks for the tools of the running kernel, which is not one of Ubuntu's here.
for tool in /usr/lib/linux-tools/*/bpftool; do [ ! -x "$tool" ] || ln -sf "$tool" /usr/sbin/bpftool; done
make test TESTS=tests/lab PYTEST="-m core_lab -p no:cacheprovider"
