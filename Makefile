# Works as root on a fresh Debian 13 or Ubuntu 24.04 with git and make. `make` alone lists the targets.
SHELL := /bin/bash
# Each of pytest's workers would translate all tests anew: 43 s instead of 26 in a new clone, and 12 from then on.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
BIN := .venv/bin
BPF_SOURCES := $(wildcard bpf/*/*.c bpf/*/*.h) src/tinysnitch/kernel/bpf/libbpf_abi.h
# The marks of what is installed have Python's version in their names, since another version finds nothing of it, and a sum
# of the clone's path, since the installed commands name the path at which they were made.
PYTHON := $(notdir $(realpath $(BIN)/python))
PLACE := $(firstword $(shell pwd -P | cksum))
INSTALLED := .venv/.installed-$(PYTHON)-$(PLACE)
TEST_INSTALLED := .venv/.installed-test-$(PYTHON)-$(PLACE)
CLANG_FORMAT = $(shell command -v clang-format-19 || command -v clang-format)
# `make test TESTS=tests/core` runs a part; `PYTEST=-x` adds flags, `PYTEST="-m 'not slow'"` leaves out slow tests.
TESTS ?= tests
PYTEST ?=
CMD ?=
FUZZ ?= 10000000
PAIRS ?= 100000
BENCH ?=

.PHONY: help setup setup-window setup-test install uninstall run test check format lab fuzz bench profile trips bench-attribution bench-names bench-prompt questions screenshots pictures docs release test-fresh test-packages test-kernel clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 27

setup: $(INSTALLED)  ## install what running needs; every command is then in .venv/bin

$(INSTALLED): pyproject.toml hatch_build.py packaging/setup.sh $(BPF_SOURCES)
	packaging/setup.sh run
	@touch ".venv/.installed-$$(basename "$$(realpath $(BIN)/python)")-$(PLACE)"

setup-window: $(INSTALLED)  ## install Qt too, for the prompt as a window
	packaging/setup.sh window

install: setup  ## put the commands into /usr/local/bin, and a systemd unit for the daemon
	@packaging/install.sh install

uninstall:  ## remove the commands and the units again
	@packaging/install.sh uninstall

setup-test: $(TEST_INSTALLED)  ## install what the tests need, too

$(TEST_INSTALLED): $(INSTALLED) pyproject.toml packaging/setup.sh
	packaging/setup.sh test
	@touch ".venv/.installed-test-$$(basename "$$(realpath $(BIN)/python)")-$(PLACE)"

run: setup  ## start the firewall and its prompt here; CMD='curl https://example.com' judges that command only
	@packaging/run.sh $(if $(value CMD),-- '$(subst ','\'',$(value CMD))')

test: setup-test  ## run all tests, also those in network namespaces
	$(BIN)/python -m pytest -n 3 --dist worksteal -q $(PYTEST) $(TESTS)

check: setup-test  ## format, lint, types, and the repository's own rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src
	$(CLANG_FORMAT) --dry-run -Werror bpf/*/*.c bpf/*/*.h bench/*.c
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m 'not slow' tests/repo

format: setup-test  ## rewrite Python and C in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(CLANG_FORMAT) -i bpf/*/*.c bpf/*/*.h bench/*.c

lab: setup-test  ## run the lab's tests only: whole daemons in network namespaces
	$(BIN)/python -m pytest -n 3 --dist worksteal -q $(PYTEST) tests/lab

fuzz: setup-test  ## feed 10 000 000 mutated DNS messages to their parsers, and compare the cache with the rules 100 000 times; FUZZ= and PAIRS=: fewer
	$(BIN)/python -m tests.fuzz.fuzz_messages $(FUZZ)
	$(BIN)/python -m tests.bpf.differential $(PAIRS)

bench: setup-test  ## measure side by side with the bare kernel; BENCH="--part streams" or "--kind udp6 --threads 8" choose what
	$(BIN)/python -m bench.bench $(BENCH)

profile: setup-test  ## show where the time of a miss goes, stage by stage; BENCH="--seconds 10" measures longer
	$(BIN)/python -m bench.profile $(BENCH)

trips: setup-test  ## count the files, functions and calls that a packet, an answer and a DNS message pass; BENCH=--calls lists them
	$(BIN)/python -m bench.trips $(BENCH)

bench-attribution: setup-test  ## measure how many short-lived processes are attributed right, and what that costs
	$(BIN)/python -m bench.bench_attribution $(BENCH)

bench-names: setup-test  ## measure DNS messages, a million names and 10 000 rules, compared with few
	$(BIN)/python -m bench.bench_names $(BENCH)

questions: setup-test  ## play an hour of a developer, and count the questions and keys; BENCH="--keys fy" answers with others
	$(BIN)/python -m bench.questions $(BENCH)

bench-prompt: setup-test  ## measure the window: the time from a held packet to a painted question, and its use at rest
	$(BIN)/python -m bench.prompt $(BENCH)

screenshots: setup-test  ## take pictures of window and terminal in every state, into build/screenshots
	$(BIN)/python -m bench.screenshots build/screenshots
	$(BIN)/python -m bench.terminal_pictures build/screenshots
	$(BIN)/python -m bench.page_pictures build/screenshots
	$(BIN)/python -m bench.command_pictures build/screenshots
	$(BIN)/python -m bench.window_page_pictures build/screenshots

pictures: setup-test  ## take the pictures in docs again, of terminals and of the window of the pages, and film real runs of curl and Firefox
	$(BIN)/python -m bench.docs_pictures docs
	$(BIN)/python -m bench.moving_pictures docs

docs: setup-test  ## build README and docs as a site, into build/site; a link that leads nowhere fails it
	$(BIN)/python -m release.site

release: setup-test  ## build packages and wheel of the last commit, into dist/
	$(BIN)/python -m release

test-fresh:  ## prove `make setup` on a bare Debian 13 in a scratch folder; SUITE=noble MIRROR=URL: on Ubuntu 24.04
	tests/fresh/run.sh

test-packages: setup-test  ## prove the .deb on a bare Debian 13: first question, upgrade, removal, purge; SUITE=noble MIRROR=URL: on Ubuntu 24.04
	tests/packages/run.sh

test-kernel: setup-test  ## run the core tests on the distribution's newest kernel, in a virtual machine; SUITE=bookworm: of Debian 12; ARCH=arm64: the arm64 package on an arm64 kernel
	tests/kernel_vm/$(if $(filter arm64,$(ARCH)),arm64,run).sh

clean:  ## remove all that was built or installed in the clone
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
