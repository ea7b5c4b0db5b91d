"""Worker processes, which a program starts with other arguments each time: the rule that a prompt proposes is for all
of them, and for no other program that the interpreter runs."""

import os
import shutil

import pytest

from tests.lab.daemon import Record
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tests.lab.proposal import answer_as_proposed
from tests.lab.world import PROGRAMS

pytestmark = [pytest.mark.privileged, pytest.mark.slow]

ITSELF = str(PROGRAMS / "itself.tcl")
POOL = str(PROGRAMS / "pool_client.py")
PYTHON = "/usr/bin/python3"
SITE = ("four.test", "80")


def is_fetched(record: Record) -> bool:
    return record["event"] == "connection" and record["remote_port"] == 80


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_pool_of_workers_is_asked_about_once(lab: Lab, method: str) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    first = lab.spawn([PYTHON, POOL, method, "0", *SITE])
    [line] = answer_as_proposed(daemon, first)
    assert first.communicate(timeout=WAIT_S)[0].split() == ["connected"] * 2
    asks = daemon.records("ask")
    [path] = {ask["program"] for ask in asks}
    assert line == f"allow parent={POOL} four.test 80 tcp {path}"
    again = lab.run([PYTHON, POOL, method, "3", *SITE])
    assert again.stdout.split() == ["connected"] * 2, f"{again.stderr}\n{daemon.describe()}"
    assert len(daemon.records("ask")) == len(asks)
    asked = [ask["args"] for ask in asks]
    daemon.wait_for(lambda record: is_fetched(record) and record["args"] not in asked)  # of another command line


# An editor that debugs a program as PyCharm does: it starts a debugger, which it tells a port that the kernel chose.
DEBUG = """
import socket, subprocess, sys
with socket.create_server(("127.0.0.1", 0)) as listening:
    place = ["--client", "127.0.0.1", "--port", str(listening.getsockname()[1])]
    subprocess.run([*sys.argv[1:-1], "--multiprocess", *place, "--file", sys.argv[-1]], check=True)
"""
DEBUGGER = "import runpy, sys; runpy.run_path(sys.argv[-1])"
DEBUGGED = "import socket; socket.create_connection(('four.test', 80)); print('connected')"


@pytest.mark.parametrize("options", [(), ("-X", "pycache_prefix=/nowhere")])
def test_what_pycharm_debugs_is_asked_about_once(lab: Lab, options: tuple[str, ...]) -> None:
    """With such an option Python is not named by its script."""
    editor, debugger, debugged = (lab.folder / name for name in ("editor.py", "pydev/pydevd.py", "debugged.py"))
    debugger.parent.mkdir()
    for file, text in ((editor, DEBUG), (debugger, DEBUGGER), (debugged, DEBUGGED)):
        file.write_text(text)
    daemon = lab.start_daemon(DNS_RULE)
    command = [PYTHON, str(editor), PYTHON, *options, str(debugger), str(debugged)]
    first = lab.spawn(command)
    [line] = answer_as_proposed(daemon, first)
    assert first.communicate(timeout=WAIT_S)[0] == "connected\n"
    assert line.startswith(f"allow parent={editor} four.test 80 tcp ")
    assert lab.run(command).stdout == "connected\n", daemon.describe()
    assert len(daemon.records("ask")) == 1


@pytest.mark.skipif(not shutil.which("tclsh"), reason="no tclsh here")
def test_the_rule_for_an_interpreter_that_starts_itself_keeps_the_arguments(lab: Lab) -> None:
    """For other programs that start themselves (a browser's helpers) the proposed rule is for any arguments."""
    daemon = lab.start_daemon(DNS_RULE)
    running = lab.spawn(["tclsh", ITSELF, *SITE, ITSELF])
    [line] = answer_as_proposed(daemon, running)
    assert running.communicate(timeout=WAIT_S)[0] == "connected\n"
    assert line == f"allow four.test 80 tcp {os.path.realpath('/usr/bin/tclsh')} {ITSELF} four.test 80"


def test_the_answer_for_a_pool_does_not_allow_other_code_of_the_interpreter(lab: Lab) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    pool = lab.spawn([PYTHON, POOL, "spawn", "0", *SITE])
    answer_as_proposed(daemon, pool)
    other = lab.spawn([PYTHON, "-c", "import socket; socket.create_connection(('four.test', 80))"])
    ask = daemon.wait_ask(pid=other.pid)
    assert ask["args"][0] == "-c"
    daemon.answer(ask, "no")
