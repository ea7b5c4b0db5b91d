"""What one daemon hands to the next. tests/lab restarts real daemons."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.bpf.attribution_table import DictTable
from tests.core.dns.resolver_talk import FIREFOX, SHOP, ResolverTalk
from tests.daemon.requests.small_handler import make_prompt
from tests.lab.patience import read_line
from tests.shortage import descriptors_left
from tinysnitch.daemon.startup.handover import (
    MAX_ASKERS,
    EarlierArguments,
    find_first_number,
    keep_arguments,
    names_handed_over,
)
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import IMAGE_ARGS_CUT, IMAGE_DIRECTORY_CUT, ProcessEntry
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.procfs import LiveProcess
from tinysnitch.kernel.system.clock import read_boot_id, read_instant
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import ask_line_of
from tinysnitch.store.handover_files import KeptArguments, KeptNames, KeptProcess
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


# Arguments


TITLED = "$0 = 'a title of its own'; $| = 1; print \"ready\\n\"; sleep 60"
ARGV = ("perl", "-e", TITLED)


@pytest.fixture
def titled() -> Iterator[LiveProcess]:
    """A program that wrote a title over its arguments: perlvar(1), $0."""
    with subprocess.Popen(ARGV, stdout=subprocess.PIPE, text=True) as started:
        assert read_line(started) == "ready\n"
        found = procfs.read_process(started.pid)
        assert found is not None
        yield found
        started.kill()


@pytest.fixture
def arguments_file(tmp_path: Path) -> KeptArguments:
    return KeptArguments(tmp_path / "arguments")


def image_at_exec(process: LiveProcess) -> Image:
    return replace(image_of(process), exec_id=7, args=ARGV, directory="/srv", flags=0)


def keep(arguments_file: KeptArguments, process: LiveProcess, image: Image) -> None:
    table = DictTable()
    table.processes[process.pid] = ProcessEntry(7, process.started_ns + 1)
    table.images[7] = image
    keep_arguments(table, arguments_file)


def test_what_a_title_hides_is_known_to_the_next_daemon(arguments_file: KeptArguments, titled: LiveProcess) -> None:
    assert (titled.argv, titled.is_argv_complete) == ((), False)
    keep(arguments_file, titled, image_at_exec(titled))
    known = EarlierArguments.of(arguments_file).complete(titled)
    assert (known.argv, known.directory, known.is_argv_complete) == (ARGV, "/srv", True)


def test_a_folder_that_was_cut_off_is_the_one_of_now(arguments_file: KeptArguments, titled: LiveProcess) -> None:
    keep(arguments_file, titled, replace(image_at_exec(titled), directory="rv", flags=IMAGE_DIRECTORY_CUT))
    known = EarlierArguments.of(arguments_file).complete(titled)
    assert (known.argv, known.directory) == (ARGV, titled.directory)


def test_what_was_not_captured_whole_is_not_kept(arguments_file: KeptArguments, titled: LiveProcess) -> None:
    keep(arguments_file, titled, replace(image_at_exec(titled), flags=IMAGE_ARGS_CUT))
    assert arguments_file.read(read_boot_id()) == ()


def test_what_says_its_arguments_itself_is_not_kept(arguments_file: KeptArguments) -> None:
    # Popen() may return before the exec has put the arguments into memory: the line comes after that.
    with subprocess.Popen(
        ["sh", "-c", "echo ready; read -r _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert read_line(started) == "ready\n"
        process = procfs.read_process(started.pid)
        assert process is not None
        keep(arguments_file, process, image_at_exec(process))
        started.kill()
    assert arguments_file.read(read_boot_id()) == ()


@pytest.mark.parametrize("field", ["pid", "started_ns", "stack", "inode"])
def test_another_process_or_another_exec_has_none_of_it(
    arguments_file: KeptArguments, titled: LiveProcess, field: str
) -> None:
    keep(arguments_file, titled, image_at_exec(titled))
    (kept,) = arguments_file.read(read_boot_id())
    other = replace(kept, **{field: getattr(kept, field) + 1})
    assert isinstance(other, KeptProcess)
    assert EarlierArguments([other]).complete(titled) == titled


def test_where_nothing_can_be_kept_the_end_goes_on(
    arguments_file: KeptArguments, titled: LiveProcess, caplog: pytest.LogCaptureFixture
) -> None:
    arguments_file.path.mkdir()
    keep(arguments_file, titled, image_at_exec(titled))
    assert "rules with arguments may not match" in caplog.text
