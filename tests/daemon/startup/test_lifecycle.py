"""From nothing to a firewall and back. tests/lab tests the whole with real connections."""

import asyncio
import errno
import gc
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from publicsuffixlist import PSLFILE

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_until
from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import Identity
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.loop.packet_socket_notes import PacketSocketNotes
from tinysnitch.daemon.options import OnExit, Options
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.startup.assembly import Assembly
from tinysnitch.daemon.startup.lifecycle import SetUp
from tinysnitch.daemon.startup.stop import HAND_OVER, Stop
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.firewall import Netfilter

TELL = """
from types import SimpleNamespace as Some
from tinysnitch.daemon.startup.lifecycle import SetUp
SetUp._tell_of_name_services(Some(parts=Some(fact_source=Some(name_services=("by a socket",)))))
"""


@pytest.mark.parametrize(("end", "told"), [("", ""), (" >/dev/null", "by a socket\n")])
def test_what_the_log_has_is_not_told_a_second_time_in_the_same_place(end: str, told: str) -> None:
    """Standard output and standard error may both be the journal, or a terminal."""
    command = ["sh", "-c", f'exec "$@"{end}', "sh", sys.executable, "-c", TELL]
    assert subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout == told


@pytest.mark.parametrize(
    ("numbers", "gone"),
    [
        ((signal.SIGTERM, HAND_OVER), ["rules", "programs"]),
        ((HAND_OVER, signal.SIGTERM), []),
    ],
)
def test_a_second_signal_at_the_end_leaves_no_half(numbers: tuple[signal.Signals, ...], gone: list[str]) -> None:
    """BPF programs without netfilter rules would go on refusing what was denied last."""
    done: list[str] = []

    async def run() -> None:
        stop = Stop()
        async with AsyncExitStack() as undo:
            daemon = SetUp(Options(), undo, ErrorLog(), stop)
            daemon._is_ready = True
            for number, step in zip(numbers, ("rules", "programs"), strict=True):
                stop.take(number)
                daemon._remove_unless_kept(partial(done.append, step))

    asyncio.run(run())
    assert done == gone


class Left:
    """What an earlier daemon, or this one, has left in the kernel; notes what is removed."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def remove(self) -> None:
        self.done.append("removed")

    def withdraw(self) -> None:
        self.done.append("own ones withdrawn")


Flags = Mapping[str, object]
KEEP, SCOPED = {"on_exit": OnExit.KEEP}, {"scope": Scope.COMMAND}


def stopped(flags: Flags, number: signal.Signals | None, *, is_ready: bool, was_there: bool = False) -> SetUp:
    """A daemon that got this signal; without a signal one that fails."""

    async def run() -> SetUp:
        stop = Stop()
        if number:
            stop.take(number)
        async with AsyncExitStack() as undo:
            return SetUp(Options(**flags), undo, ErrorLog(), stop)  # type: ignore[arg-type]

    daemon = asyncio.run(run())
    daemon._is_ready, daemon._was_there = is_ready, was_there
    return daemon


@pytest.mark.parametrize("was_there", [False, True])
@pytest.mark.parametrize(
    ("flags", "number", "done"),
    [
        ({}, signal.SIGTERM, ["removed"]),
        ({}, HAND_OVER, []),
        (KEEP, signal.SIGTERM, []),
        (SCOPED, HAND_OVER, ["removed"]),  # one command's daemon has no successor
        ({}, None, []),
        (SCOPED, None, []),  # `tinysnitch run` takes that away, once the command has ended
    ],
)
def test_what_a_daemon_takes_away(
    flags: Flags, number: signal.Signals | None, done: list[str], was_there: bool
) -> None:
    daemon, rules, programs = stopped(flags, number, is_ready=True, was_there=was_there), Left(), Left()
    daemon._remove_unless_kept(rules.remove)
    daemon._take_programs_away(cast(BpfPrograms, programs))
    assert rules.done == programs.done == done


@pytest.mark.parametrize("flags", [{}, KEEP])
@pytest.mark.parametrize(("was_there", "done"), [(False, ["removed"]), (True, [])])
def test_a_start_that_fails_leaves_what_was_there(flags: Flags, was_there: bool, done: list[str]) -> None:
    daemon, rules, programs = stopped(flags, None, is_ready=False, was_there=was_there), Left(), Left()
    daemon._remove_unless_kept(rules.remove)
    daemon._take_programs_away(cast(BpfPrograms, programs))
    assert (rules.done, programs.done) == (done, ["own ones withdrawn"])


@pytest.mark.parametrize(
    ("flags", "number", "is_ready", "done"),
    [
        ({}, signal.SIGTERM, False, ["removed"]),
        ({}, HAND_OVER, False, []),
        (KEEP, signal.SIGTERM, False, []),
        ({}, None, False, []),
        ({}, signal.SIGTERM, True, []),  # its end decides that by its options
    ],
)
def test_a_start_that_is_stopped_opens_what_an_earlier_daemon_closed(
    tmp_path: Path, flags: Flags, number: signal.Signals | None, is_ready: bool, done: list[str]
) -> None:
    left, pins = Left(), tmp_path / "pins"
    pins.mkdir()
    stopped(flags, number, is_ready=is_ready)._open_early(cast(Netfilter, left), pins)
    assert (left.done, pins.exists()) == (done, not done)


def test_whom_the_window_is_started_for_may_do_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    monkeypatch.setenv("TINYSNITCH_PROMPT_USER", "nobody")
    monkeypatch.setenv("DISPLAY", ":9")
    for has_prompt in (False, True):
        daemon = stopped({"has_prompt": has_prompt}, None, is_ready=True)
        assert daemon._permissions.is_known(nobody) is has_prompt


def test_a_failure_to_look_for_packet_sockets_is_not_one_of_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says by then that the firewall stands."""

    def look_for_packet_sockets() -> None:
        raise OSError(errno.ENOSPC, "no room in epoll")

    daemon = stopped({}, None, is_ready=False)
    daemon.parts = cast(Assembly, SimpleNamespace(driver=SimpleNamespace(failures=Failures())))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(daemon, "_say_ready", lambda _identity: None)
    notes = SimpleNamespace(start=look_for_packet_sockets)
    daemon._settle(cast(Identity, None), cast(PacketSocketNotes, notes))
    assert daemon._is_ready
    assert "failed: look_for_packet_sockets" in caplog.text
    caplog.clear()


def test_what_becomes_of_the_netfilter_rules_is_told_to_prompts_too() -> None:
    told: list[object] = []
    parts = SimpleNamespace(
        driver=SimpleNamespace(feed=told.append),
        clients=SimpleNamespace(push_notice=lambda *words: told.append(words)),
    )
    daemon = stopped({}, None, is_ready=True)
    daemon.parts = cast(Assembly, parts)
    daemon._tell_of_netfilter("put back", "look")
    assert told == [DataLost("put back", 1), ("put back", "look")]


@pytest.mark.privileged
@pytest.mark.parametrize("is_left", [False, True], ids=["nothing was there", "an earlier one was killed"])
def test_a_start_that_waits_for_a_list_ends_by_sigterm_and_leaves_nothing(lab: Lab, is_left: bool) -> None:
    if is_left:
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
def test_sighup_reads_the_rules_file_again(lab: Lab) -> None:
    """No watch tells of a file that is mounted over the rules file."""
    daemon = lab.start_daemon("")
    (lab.folder / "new").write_text("deny - 23 tcp\n")
    mounted = lab.run_outside(["mount", "--bind", str(lab.folder / "new"), str(daemon.rules)])
    assert mounted.returncode == 0, mounted.stderr
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda record: record["event"] == "rules" and record["loaded"] == 1)
    assert daemon.stop() == 0


@pytest.mark.privileged
def test_a_sighup_of_its_last_moments_of_starting_counts(lab: Lab) -> None:
    rules, new, bin_folder = lab.folder / "rules", lab.folder / "new", lab.folder / "bin"
    rules.write_text("")
    new.write_text("deny - 23 tcp\n")
    bin_folder.mkdir()
    restore = bin_folder / "iptables-restore"
    lines = ("#!/bin/sh", f"mount --bind {new} {rules}", "kill -HUP $PPID", 'exec /usr/sbin/iptables-restore "$@"', "")
    restore.write_text("\n".join(lines))
    restore.chmod(0o755)
    path = f"PATH={bin_folder}:{os.environ['PATH']}"
    daemon = lab.spawn_outside(["env", path, *command_of(lab, "--rules", str(rules))])
    read_until(daemon, lambda said: "rules 1 loaded" in said[-1])
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


@pytest.mark.privileged
def test_it_says_that_it_made_a_starter_set_and_that_it_observes(lab: Lab) -> None:
    rules = lab.folder / "rules"
    for said in ([f"tinysnitch: {rules} was not there: made with a starter set of rules\n"], []):
        daemon = lab.spawn_outside(command_of(lab, "--learn", "--rules", str(rules)))
        assert daemon.stdout
        *before, ready = until_ready(daemon.stdout)
        assert before == said
        assert ready.endswith(", observing: what no rule decides is allowed and recorded\n")
        daemon.terminate()
        assert daemon.wait(timeout=60) == 0


@pytest.mark.privileged
def test_it_says_that_others_can_change_the_rules(lab: Lab) -> None:
    rules = lab.folder / "rules"
    rules.touch()
    rules.chmod(0o666)
    daemon = lab.spawn_outside(command_of(lab, "--rules", str(rules)))
    assert daemon.stdout
    told, *_rest = until_ready(daemon.stdout)
    command = told.partition("(hint: ")[2].partition(")")[0]
    assert told == f"tinysnitch: others than root can change {rules}, and let pass what they like (hint: {command})\n"
    subprocess.run(["sh", "-ec", command], check=True)
    assert stat.S_IMODE(rules.stat().st_mode) == 0o600
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0


@pytest.mark.privileged
def test_a_rules_file_that_all_could_read_is_for_root_alone_from_the_next_start(lab: Lab) -> None:
    rules = lab.folder / "rules"
    rules.write_text("deny - 443 tcp /usr/bin/curl -H 'Authorization: Bearer x'\n")
    rules.chmod(0o644)
    told = f"tinysnitch: others could read {rules}, and secrets among the arguments in it: now only root can\n"
    for said in ([told], []):
        daemon = lab.spawn_outside(command_of(lab, "--rules", str(rules)))
        assert daemon.stdout
        *before, _ready = until_ready(daemon.stdout)
        assert before == said
        assert stat.S_IMODE(rules.stat().st_mode) == 0o600
        daemon.terminate()
        assert daemon.wait(timeout=60) == 0


def command_of(lab: Lab, *flags: str) -> list[str]:
    """The command line of tinysnitchd with its text log."""
    places = ["--cgroup", str(lab.cgroup), "--state-dir", str(lab.folder / "state"), "--socket", str(lab.folder / "s")]
    return [str(Path(sys.executable).parent / "tinysnitchd"), *places, *flags]


def until_ready(lines: Iterable[str]) -> Iterator[str]:
    """Read its output up to the ready line."""
    for line in lines:
        yield line
        if " INFO ready" in line:
            return


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

if sys.argv[1:]:
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


def late(*words: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", USES, *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_nothing_is_imported_at_its_first_use() -> None:
    assert late("import the rest") == []


def test_without_that_it_would_be() -> None:
    assert {"encodings.punycode", "encodings.unicode_escape"} <= {*late()}


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
