"""`sha256=` in a rule is compared with the content that was executed, not with what the file held before or after."""

import hashlib
import mmap
import os
import pwd
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.evasion.stage import ATTACKER, PORT, TARGET, Stage
from tests.lab.wakeups import stand_still
from tests.lab.world import ECHO_PORT, WORLD4

pytestmark = [pytest.mark.privileged]


def test_a_rule_with_a_digest_holds_for_that_content_alone(stage: Stage) -> None:
    content = stage.honest.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    stage.daemon.edit_rules(f"allow sha256={digest} - {PORT} tcp {stage.honest}\n")
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"
    stage.honest.write_bytes(content + b"\0")  # the same inode, and the program works as before
    stage.assert_denied(stage.honest, "plain", *TARGET)
    stage.honest.write_bytes(content)
    time.sleep(0.05)  # file times have the resolution of a tick: a write in the tick of the start may seem to be later
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"


def test_a_file_that_gets_the_content_while_its_packet_is_held(stage: Stage) -> None:
    """Once the program has ended, its file may be written (before that: ETXTBSY), while its packet still waits.

    The daemon is stopped meanwhile, as if it were busy.
    """
    shell, program = Path("/bin/bash").read_bytes(), stage.folder / "shell"
    program.write_bytes(shell + b"evil")
    program.chmod(0o755)
    digest = hashlib.sha256(shell).hexdigest()
    stage.daemon.edit_rules(f"allow sha256={digest} - - udp {program}\n")
    stand_still(stage.daemon.process.pid)
    try:
        stage.lab.run([str(program), "-c", f"echo >/dev/udp/{WORLD4}/{ECHO_PORT}"], user="nobody")
        program.write_bytes(shell)
    finally:
        stage.daemon.process.send_signal(signal.SIGCONT)
    record = stage.daemon.wait_connection(remote_port=ECHO_PORT)
    assert (record["program"], record["verdict"]) == (str(program), "deny")


def test_a_file_in_memory_that_is_changed_by_a_mapping(stage: Stage) -> None:
    """On tmpfs such a change leaves its times as they are, so that nothing tells when it was made."""
    content = stage.honest.read_bytes()
    digest = hashlib.sha256(content + b"good").hexdigest()
    with TemporaryDirectory(dir="/dev/shm") as folder:
        program = Path(folder) / "program"
        program.write_bytes(content + b"good")
        for path in (program.parent, program):
            os.chown(path, pwd.getpwnam(ATTACKER).pw_uid, -1)
            path.chmod(0o755)
        stage.daemon.edit_rules(f"allow sha256={digest} - {PORT} tcp {program}\n")
        time.sleep(0.05)
        stage.assert_denied(program, "plain", *TARGET)
        with program.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            assert memory[-1:] == b"d"  # read first: then the page is there, and writing it is no fault
            memory[-4:] = b"evil"
        stage.assert_denied(program, "plain", *TARGET)
