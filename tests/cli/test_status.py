import json

import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch import __version__
from tinysnitch.output import tables

WHOLE = """\
mode                enforcing, programs identified by the kernel (BPF)
questions open      1
prompts attached    none: what no rule covers is denied when its time is over
rules               1 in /etc/tinysnitch.rules, 0 temporary
packets judged      5 in the kernel (hits), 6 here (misses)
waiting             nothing
in use              nothing
LOST                4 history rows
daemon              version VERSION, pid 1, up 1 h 1 min
network namespace   7
cgroup              /sys/fs/cgroup
"""


def test_what_a_person_reads_and_no_word_of_what_is_not_so(running: RunningServer, command: Command) -> None:
    assert command("status").out == WHOLE.replace("VERSION", __version__)
    assert max(map(len, WHOLE.splitlines())) < 80


def test_json_is_one_object(running: RunningServer, command: Command) -> None:
    (line,) = command("status", "--json").out.splitlines()
    status = json.loads(line)
    assert (status["mode"], status["hits"], status["losses"]) == ("bpf", 5, {"history rows": 4})


@pytest.mark.parametrize(("words", "has_details"), [((), False), (("--all",), True)])
def test_on_a_terminal_it_is_a_screen(
    running: RunningServer,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    has_details: bool,
) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    out = command("status", *words).out
    assert out.startswith("enforcing, and 2 things to look at\n\nquestions open      1: ")
    assert ("cgroup" in out) is has_details
