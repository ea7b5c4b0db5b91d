"""What every benchmark in the lab begins with."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.counted_runs import counted_runs
from bench.programs import compile_programs
from bench.rows import prepare
from tests.lab.lab import Lab
from tests.lab.leftovers import remove_stale


def make_ready() -> None:
    """Compile the programs and remove what an earlier run left. Ends the process if it does not run as root."""
    if os.geteuid() != 0:
        sys.stderr.write("tinysnitch: error: this makes network namespaces\ntinysnitch: hint: run it as root\n")
        sys.exit(4)
    os.environ.pop("SUDO_UID", None)  # with a desktop, each daemon would open a window for who called sudo
    compile_programs()
    remove_stale()


@contextmanager
def prepared_lab() -> Iterator[Lab]:
    """A lab with its servers and addresses. Meanwhile the kernel does not count the time of BPF programs."""
    with counted_runs(are_counted=False), Lab() as lab:
        prepare(lab)
        yield lab
