#!/bin/bash
# What a person does on a bare machine: git and make, the clone (it is here already), `make setup`, and then the tests.
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
# Ubuntu's bpftool looks for the tools of the running kernel, which is not Ubuntu's here.
for tool in /usr/lib/linux-tools/*/bpftool; do [ ! -x "$tool" ] || ln -sf "$tool" /usr/sbin/bpftool; done
make test TESTS=tests/lab PYTEST="-m core_lab -p no:cacheprovider"
