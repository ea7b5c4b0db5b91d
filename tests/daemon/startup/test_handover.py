""""""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from tests.core.dns.resolver_talk import FIREFOX, SHOP, ResolverTalk
from tests.daemon.requests.small_handler import make_prompt
from tests.shortage import descriptors_left
from tinysnitch.daemon.startup.handover import MAX_ASKERS, find_first_number, names_handed_over
from tinysnitch.kernel.bpf.layout import ProcessEntry
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.clock import read_boot_id, read_instant
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ask_line_of
from tinysnitch.store.handover_files import KeptNames
from tinysnitch.store.history import BATCH, History


class Table:
    """The table of processes by pid, as the BPF programs keep it."""

    def __init__(self, **exec_ids: int) -> None:
        self.exec_ids = {int(pid.removeprefix("pid")): exec_id for pid, exec_id in exec_ids.items()}

    def find_process(self, pid: int) -> ProcessEntry | None:
        status = procfs.read_stat(pid)
        return ProcessEntry(self.exec_ids[pid], status.started_ns) if status and pid in self.exec_ids else None


def table_of(pid: int, exec_id: int) -> Table:
    return Table(**{f"pid{pid}": exec_id})


def new_talk() -> ResolverTalk:
    talk = ResolverTalk()
    talk.now_s = read_instant().boot_s
    return talk


@pytest.fixture
def file(tmp_path: Path) -> KeptNames:
    return KeptNames(tmp_path / "names")


def test_who_asked_is_known_under_a_new_exec_id(file: KeptNames) -> None:
    before, after = new_talk(), new_talk()
    with names_handed_over(before.names, file, table_of(os.getpid(), 7)):
        before.looks_up(7, "mine.test", SHOP)
        before.looks_up(FIREFOX, "other.test", SHOP)
    with names_handed_over(after.names, file, table_of(os.getpid(), 9)):
        assert after.name_of(SHOP, 9) == "mine.test"
        assert after.name_of(SHOP, 7) == "other.test"
        assert after.name_of(SHOP) == "other.test"


def test_another_process_of_the_same_pid_never_asked(file: KeptNames) -> None:
    before, after = new_talk(), new_talk()
    with subprocess.Popen(["sleep", "60"]) as child:
        with names_handed_over(before.names, file, table_of(child.pid, 7)):
            before.looks_up(7, "mine.test", SHOP)
            before.looks_up(FIREFOX, "other.test", SHOP)
        child.kill()
    file.path.write_text(file.path.read_text().replace(f"[[{child.pid},", f"[[{os.getpid()},"))
    with names_handed_over(after.names, file, table_of(os.getpid(), 9)):
        assert after.name_of(SHOP, 9) == "other.test"


@pytest.mark.parametrize("table", [Table(), None])
def test_the_name_stays_when_the_process_that_asked_has_ended(file: KeptNames, table: Table | None) -> None:
    """Or that cannot be found any more, since the next daemon has no BPF."""
    before, after = new_talk(), new_talk()
    with names_handed_over(before.names, file, table_of(os.getpid(), 7)):
        before.looks_up(7, "mine.test", SHOP)
    with names_handed_over(after.names, file, table):
        assert after.name_of(SHOP, 9) == "mine.test"
        assert [known.askers for known in after.names.known(after.now_s)] == [()]


class Crowd:
    """A table in which all processes run one image."""

    def find_process(self, pid: int) -> ProcessEntry:
        return ProcessEntry(7, pid)


def test_of_a_program_that_forks_as_it_likes_a_few_are_handed_on(
    file: KeptNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "list_processes", lambda: list(range(2, 5000)))
    before = new_talk()
    with names_handed_over(before.names, file, Crowd()):
        for number in range(20):
            before.looks_up(7, f"n{number}.test", SHOP)
    kept = file.take(read_boot_id())
    assert {tuple(asker.pid for asker in one.askers) for one in kept} == {tuple(range(3, 3 + MAX_ASKERS))}


@pytest.mark.parametrize(("count", "is_sure"), [(MAX_ASKERS, True), (MAX_ASKERS + 1, False)])
def test_who_is_not_handed_on_may_still_mean_what_it_asked_for(
    file: KeptNames, monkeypatch: pytest.MonkeyPatch, count: int, is_sure: bool
) -> None:
    """The name may be denied: a connection by another name that it asks for next is only a guess."""
    monkeypatch.setattr(procfs, "list_processes", lambda: list(range(2, 2 + count)))
    before, after = new_talk(), new_talk()
    with names_handed_over(before.names, file, Crowd()):
        before.looks_up(7, "denied.test", SHOP)
    with names_handed_over(after.names, file, table_of(os.getpid(), 9)):
        after.looks_up(9, "allowed.test", SHOP)
        assert after.names.find(SHOP, after.now_s, 9).is_sure is is_sure


def test_a_process_is_looked_for_once_however_many_names_it_asked_for(file: KeptNames) -> None:
    """After weeks a program with dozens of processes may have thousands of names: each start took seconds."""
    before, asked = new_talk(), []
    table = table_of(os.getpid(), 7)
    with names_handed_over(before.names, file, table):
        for number in range(9):
            before.looks_up(7, f"n{number}.test", SHOP)

    class Counted:
        def find_process(self, pid: int) -> ProcessEntry | None:
            asked.append(pid)
            return table.find_process(pid)

    after = new_talk()
    with names_handed_over(after.names, file, Counted()):
        assert asked == [os.getpid()]
        assert after.name_of(SHOP, 7) == "n8.test"


def test_without_a_table_names_hold_for_all_alike(file: KeptNames) -> None:
    before, after = new_talk(), new_talk()
    with names_handed_over(before.names, file, None):
        before.looks_up(7, "mine.test", SHOP)
    with names_handed_over(after.names, file, None):
        assert after.name_of(SHOP, 7) == "mine.test"
        assert not after.names.find(SHOP, after.now_s, 7).is_sure


def test_that_processes_cannot_be_listed_now_ends_no_stop(file: KeptNames, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as after, names_handed_over(new_talk().names, file, table_of(os.getpid(), 7)):
        after.enter_context(descriptors_left(0))
    assert "after a restart names are learned anew: [Errno 24]" in caplog.text


def test_what_cannot_be_left_is_told_and_keeps_nobody(file: KeptNames, caplog: pytest.LogCaptureFixture) -> None:
    file.path.mkdir()
    with names_handed_over(new_talk().names, file, None):
        pass
    assert "after a restart names are learned anew" in caplog.text


@pytest.fixture(name="history")
def _history(tmp_path: Path) -> Iterator[History]:
    history = History(tmp_path / "history.db")
    yield history
    history.close()


def note_ask(history: History, number: int) -> None:
    history.append(encode_object(ask_line_of(msgspec.structs.replace(make_prompt(), prompt_id=number))))


def test_a_number_is_beyond_all_that_were_given(history: History) -> None:
    """Also beyond those that a killed daemon had not written yet."""
    for number in (500, 501):
        note_ask(history, number)
    history.append(b'{"event":"lost"}')
    history.flush()
    assert find_first_number(history, 100.5) == 502 + BATCH
    assert find_first_number(history, 10_000.5) == 10_000


@pytest.mark.parametrize("line", [None, b'{"event":"ask","id":7', b'{"event":"ask","id":"x"}', b'{"event":"lost"}'])
def test_without_a_question_in_the_history_it_is_the_time(history: History, line: bytes | None) -> None:
    if line:
        history.append(line)
        history.flush()
    assert find_first_number(history, 100.5) == 100


def test_a_broken_history_hinders_no_start_and_a_new_one_is_begun(history: History, tmp_path: Path) -> None:
    history.close()
    (tmp_path / "history.db").write_bytes(b"x" * 9000)
    assert find_first_number(history, 100.5) == 100
    assert (tmp_path / "history.db.broken").exists()
