import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.bpf.attribution_table import DictTable
from tests.lab.patience import read_line
from tinysnitch.daemon.startup.handover import EarlierArguments, keep_arguments
from tinysnitch.kernel.attribution.process_image import image_of
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import IMAGE_ARGS_CUT, IMAGE_DIRECTORY_CUT, ProcessEntry
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.procfs import LiveProcess
from tinysnitch.kernel.system.clock import read_boot_id
from tinysnitch.store.handover_files import KeptArguments, KeptProcess

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
def file(tmp_path: Path) -> KeptArguments:
    return KeptArguments(tmp_path / "arguments")


def image_at_exec(process: LiveProcess) -> Image:
    return replace(image_of(process), exec_id=7, args=ARGV, directory="/srv", flags=0)


def keep(file: KeptArguments, process: LiveProcess, image: Image) -> None:
    table = DictTable()
    table.processes[process.pid] = ProcessEntry(7, process.started_ns + 1)
    table.images[7] = image
    keep_arguments(table, file)


def test_what_a_title_hides_is_known_to_the_next_daemon(file: KeptArguments, titled: LiveProcess) -> None:
    assert (titled.argv, titled.is_argv_complete) == ((), False)
    keep(file, titled, image_at_exec(titled))
    known = EarlierArguments.of(file).complete(titled)
    assert (known.argv, known.directory, known.is_argv_complete) == (ARGV, "/srv", True)


def test_a_folder_that_was_cut_off_is_the_one_of_now(file: KeptArguments, titled: LiveProcess) -> None:
    keep(file, titled, replace(image_at_exec(titled), directory="rv", flags=IMAGE_DIRECTORY_CUT))
    known = EarlierArguments.of(file).complete(titled)
    assert (known.argv, known.directory) == (ARGV, titled.directory)


def test_what_was_not_captured_whole_is_not_kept(file: KeptArguments, titled: LiveProcess) -> None:
    keep(file, titled, replace(image_at_exec(titled), flags=IMAGE_ARGS_CUT))
    assert file.read(read_boot_id()) == ()


def test_what_says_its_arguments_itself_is_not_kept(file: KeptArguments) -> None:
    # Popen() may return before the exec has put the arguments into memory: the line comes after that.
    with subprocess.Popen(
        ["sh", "-c", "echo ready; read -r _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert read_line(started) == "ready\n"
        process = procfs.read_process(started.pid)
        assert process is not None
        keep(file, process, image_at_exec(process))
        started.kill()
    assert file.read(read_boot_id()) == ()


@pytest.mark.parametrize("field", ["pid", "started_ns", "stack", "inode"])
def test_another_process_or_another_exec_has_none_of_it(file: KeptArguments, titled: LiveProcess, field: str) -> None:
    keep(file, titled, image_at_exec(titled))
    (kept,) = file.read(read_boot_id())
    other = replace(kept, **{field: getattr(kept, field) + 1})
    assert isinstance(other, KeptProcess)
    assert EarlierArguments([other]).complete(titled) == titled


def test_where_nothing_can_be_kept_the_end_goes_on(
    file: KeptArguments, titled: LiveProcess, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.mkdir()
    keep(file, titled, image_at_exec(titled))
    assert "rules with arguments may not match" in caplog.text
