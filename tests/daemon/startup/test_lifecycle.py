"""From nothing to a firewall and back. tests/lab tests the whole with real connections."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from publicsuffixlist import PSLFILE

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.options import Options, SettingsRead
from tinysnitch.daemon.startup.lifecycle import (
    SetUp,
    close_state_folder,
    prepare_rules_file,
    tell_of_problems,
)
from tinysnitch.daemon.startup.stop_signals import Stop
from tinysnitch.protocol.log_text import OBSERVING
from tinysnitch.store.rules_file import RulesFile


@pytest.mark.parametrize("is_same", [False, True])
def test_what_the_log_has_is_not_told_a_second_time_in_the_same_place(
    is_same: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Standard output and standard error may both be the journal, or a terminal."""
    monkeypatch.setattr(os.path, "sameopenfile", lambda output, error: is_same and (output, error) == (1, 2))
    tell_of_problems(["by a socket"])
    assert caplog.messages == ([] if is_same else ["by a socket"])
    caplog.clear()


def test_whom_the_window_is_started_for_may_do_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    monkeypatch.setenv("TINYSNITCH_PROMPT_USER", "nobody")
    monkeypatch.setenv("DISPLAY", ":9")
    for has_prompt in (False, True):
        settings = SettingsRead(options=Options(has_prompt=has_prompt))
        set_up = SetUp(settings, SettingsRead, AsyncExitStack(), ErrorLog(), Stop())
        assert set_up.permissions.is_known(nobody) is has_prompt


def test_what_is_wrong_with_the_rules_file_is_said_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Twice, since it is said once alone."""
    path = tmp_path / "rules"
    told = [f"{path} was not there: made with a starter set of rules"]
    assert [prepared(path, caplog) for _ in range(2)] == [told, []]
    path.chmod(0o644)
    told = [f"others could read {path}, and secrets among the arguments in it: now only root can"]
    assert [prepared(path, caplog) for _ in range(2)] == [told, []]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.privileged
def test_files_of_the_state_folder_that_others_can_read_are_closed_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("history.sqlite", "temporary.rules"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    close_state_folder(tmp_path)
    close_state_folder(tmp_path)
    (told,) = caplog.messages
    assert told.endswith("now only root can: history.sqlite, temporary.rules")
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600, 0o600]
    caplog.clear()


def test_a_state_folder_that_cannot_be_looked_at_is_told_and_does_not_stop_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    close_state_folder(tmp_path / "nosuch")
    (told,) = caplog.messages
    assert told.endswith(f"nosuch: No such file or directory (hint: chmod -R go= {tmp_path}/nosuch)")
    caplog.clear()


def test_it_says_that_others_can_change_the_rules_and_how_to_mend_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules"
    path.touch()
    path.chmod(0o666)
    (told,) = prepared(path, caplog)
    command = told.partition("(hint: ")[2].partition(")")[0]
    assert told == f"others than root can change {path}, and let pass what they like (hint: {command})"
    assert command == f"chown root: {path} && chmod 600 {path}"


def prepared(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is said of the rules file at a start."""
    prepare_rules_file(RulesFile(path), Options())
    said = caplog.messages[:]
    caplog.clear()
    return said


@pytest.mark.privileged
def test_a_start_that_waits_for_a_list_ends_by_sigterm_and_leaves_nothing(lab: Lab) -> None:
    """Nor what a daemon that was killed had left."""
    lab.start_daemon("").kill()
    (lab.folder / "lists").mkdir()
    (lab.folder / "lists" / "big").write_text("".join(f"host{number}.example.com\n" for number in range(1_000_000)))
    (lab.folder / "rules").write_text("deny @big - -\n")
    (lab.folder / "rules").chmod(0o600)
    command = command_of(lab, "--rules", str(lab.folder / "rules"), "--lists", str(lab.folder / "lists"))
    daemon = lab.spawn_outside(command)
    while not (compiled := lab.folder / "state" / "lists").exists():
        time.sleep(0.01)
    daemon.send_signal(signal.SIGHUP)  # whose default ends a process, and then nothing closes the machine
    daemon.terminate()
    said, _ = daemon.communicate(timeout=WAIT_S)
    assert (daemon.returncode, said) == (0, "")
    assert list(compiled.glob("[!.]*")) == []  # the start did not wait for it
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout
    assert lab.run_outside(["find", "/sys/fs/bpf", "-name", "tinysnitch*"]).stdout == ""


@pytest.mark.privileged
def test_a_sighup_of_its_last_moments_of_starting_reads_the_rules_file_again(lab: Lab) -> None:
    """No watch tells of a file that is mounted over the rules file."""
    rules, new, bin_folder = lab.folder / "rules", lab.folder / "new", lab.folder / "bin"
    rules.write_text("")
    new.write_text("deny - 23 tcp\n")
    bin_folder.mkdir()
    restore = bin_folder / "iptables-restore"
    lines = ("#!/bin/sh", f"mount --bind {new} {rules}", "kill -HUP $PPID", 'exec /usr/sbin/iptables-restore "$@"', "")
    restore.write_text("\n".join(lines))
    restore.chmod(0o755)
    path = f"PATH={bin_folder}:{os.environ['PATH']}"
    daemon = lab.spawn_outside(["env", path, *command_of(lab, "--learn", "--rules", str(rules))])
    said = read_until(daemon, lambda said: "rules 1 loaded" in said[-1])
    assert any(line.endswith(f", {OBSERVING}\n") for line in said)
    daemon.terminate()
    assert daemon.wait(WAIT_S) == 0


@pytest.mark.privileged
def test_a_state_folder_that_is_a_file_is_an_error_for_people(lab: Lab) -> None:
    place = lab.folder / "file"
    place.touch()
    command = [str(Path(sys.executable).parent / "tinysnitchd"), "--rules", str(lab.folder / "r")]
    ended = lab.run_outside([*command, "--cgroup", str(lab.cgroup), "--state-dir", str(place)])
    assert ended.returncode == 1
    assert f"tinysnitch: error: {place}: File exists" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.privileged
def test_a_mistyped_rules_file_makes_nothing(lab: Lab) -> None:
    rules = lab.folder / "nosuch" / "rules"
    ended = lab.run_outside(command_of(lab, "--rules", str(rules)))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"tinysnitch: error: {rules} cannot be made: there is no folder")
    assert "tinysnitch: hint: " in ended.stderr
    assert not rules.parent.exists()


def command_of(lab: Lab, *flags: str) -> list[str]:
    """The command line of tinysnitchd with its text log."""
    places = ["--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state"), "--socket", str(lab.folder / "s")]
    return [str(Path(sys.executable).parent / "tinysnitchd"), *places, *flags]


USES = """
import asyncio, sys
from tinysnitch.commandline.entry import UNUSED
sys.modules.update(dict.fromkeys(UNUSED))
import tinysnitch.daemon.startup.lifecycle
from tinysnitch.core.model.domain import find_registrable_domain, normalize_name
from tinysnitch.daemon.startup.lifecycle import import_the_rest
from tinysnitch.kernel.system.libcrypto import Libcrypto
from tinysnitch.protocol.log_text import escape
from tinysnitch.store.remote_set import RemoteSet

import_the_rest()
before = set(sys.modules)
find_registrable_domain("www.bbc.co.uk")
normalize_name("b\\u00fccher.example")
escape("\\x1b")
Libcrypto().encrypt_block(bytes(16), bytes(16))
RemoteSet(["ads.test"])
asyncio.run(asyncio.to_thread(int))
print(*sorted(set(sys.modules) - before))
"""


def test_nothing_is_imported_at_its_first_use() -> None:
    assert subprocess.check_output([sys.executable, "-c", USES], text=True) == "\n"


def test_the_list_of_public_suffixes_stays_open() -> None:
    """So its path is walked without the lock of a folder."""
    shows = f"""
import os
from tinysnitch.daemon.startup.lifecycle import import_the_rest
def is_open():
    return {PSLFILE!r} in (os.path.realpath(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd"))
before = is_open()
import_the_rest()
print(before, is_open())
"""
    assert subprocess.check_output([sys.executable, "-c", shows], text=True) == "False True\n"
