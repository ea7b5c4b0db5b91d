"""Arguments in a proposed rule: none, except where they say what runs, whatever name that was started by."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.proposal import answer_as_proposed

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

SITE = "four.test 80 tcp"
CONNECT = "import socket; socket.create_connection(('four.test', 80))"
SAY = "exec 3<>/dev/tcp/four.test/80"
PYTHON, BASH = (str(Path(path).resolve()) for path in ("/usr/bin/python3", "/usr/bin/bash"))


def test_other_arguments_are_no_other_question(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    fetches = [["wget", "-q", "-O", "/dev/null", f"http://four.test/{name}"] for name in ("", "index.html", "large")]
    assert answer_as_proposed(daemon, lab.spawn(fetches[0])) == [f"allow {SITE} {shutil.which('wget')}"]
    for fetch in fetches[1:]:
        assert lab.run(fetch).returncode == 0
    assert len(daemon.records("ask")) == 1


def copy_of(path: str) -> Callable[[Path], str]:
    return lambda folder: str(shutil.copy(path, folder / "tool"))


def link_to(path: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / "tool").symlink_to(path)
        return str(folder / "tool")

    return make


@pytest.mark.parametrize(
    ("make", "words", "named"),
    [
        (lambda _folder: PYTHON, ["-c", CONNECT], PYTHON),
        (link_to(PYTHON), ["-c", CONNECT], PYTHON),
        (copy_of(PYTHON), ["-c", CONNECT], None),
        (copy_of(PYTHON), ["-I", "-c", CONNECT], None),
        (copy_of(BASH), ["-c", SAY], None),
        (lambda _folder: "/usr/bin/env", ["PATH=/usr/bin", "python3", "-c", CONNECT], PYTHON),
        (lambda _folder: "/usr/bin/env", ["PATH=/usr/bin", "bash", "-c", SAY], BASH),
    ],
    ids=["python", "link", "copy", "copy with an option", "copy of bash", "env python", "env bash"],
)
def test_a_one_liner_keeps_its_arguments(
    lab: Lab, make: Callable[[Path], str], words: list[str], named: str | None
) -> None:
    program = make(lab.folder)
    daemon = lab.start_daemon(DNS_RULE)
    [line] = answer_as_proposed(daemon, running := lab.spawn([program, *words]))
    assert running.wait(WAIT_S) == 0
    start, _, args = line.partition(f" {named or program} ")
    assert start == f"allow {SITE}"
    assert args.split()[0] in ("-c", "-I")
    other = lab.spawn([program, *words[:-1], f"{words[-1]} "])
    ask = daemon.wait_ask(pid=other.pid)  # other code is another question
    daemon.answer(ask, "no")


@pytest.mark.skipif(not shutil.which("busybox"), reason="no busybox here")
def test_a_shell_of_busybox_keeps_its_arguments(lab: Lab) -> None:
    """It does nothing under a name that is none of its own."""
    program = str(Path(shutil.which("busybox") or "").resolve())
    daemon = lab.start_daemon(DNS_RULE)
    script = f"{program} wget -q -O /dev/null http://four.test/; exit 0"
    [line] = answer_as_proposed(daemon, lab.spawn([program, "sh", "-c", script]))
    assert line.startswith(f"allow {SITE} {program} ")
