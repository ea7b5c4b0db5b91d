""""""

import resource
import subprocess
import sys

import pytest

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.system.resources import raise_limit, set_limits

SCRIPT = """
import resource
from tinysnitch.kernel.system.resources import raise_limit, set_limits
before = raise_limit()
print(before, resource.getrlimit(resource.RLIMIT_NOFILE))
set_limits(before)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_and_put_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 4000)),
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "(300, 4000) (4000, 4000)\n(300, 4000)\n", done.stderr


def test_a_limit_that_cannot_be_changed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of Python where fs.nr_open was lowered below the hard limit."""

    def refuse(*_what: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raise_limit() == before
    set_limits(before)


def test_a_limit_below_what_a_daemon_needs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "setrlimit", lambda *_what: None)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 256))
    assert raise_limit() == (256, 256)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (255, 255))
    with pytest.raises(SnitchError, match="255 open files are too few") as refused:
        raise_limit()
    assert "ulimit -n" in refused.value.hint


# Between what lives on, so that the heap cannot shrink by itself.
_PROGRAM = """
from tinysnitch.kernel.system.resources import give_back_memory

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

kept, freed = [], []
for _ in range(500):
    freed.append(bytearray(40_000))
    kept.append(bytearray(600))
del freed
before = resident_mb()
give_back_memory()
print(before - resident_mb())
"""


def test_memory_that_was_freed_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 5
