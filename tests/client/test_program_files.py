import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.view.sample_prompts import CURL
from tinysnitch.client import program_files
from tinysnitch.client.program_files import UNKNOWN_FILE, ProgramFiles, read_sha256
from tinysnitch.core.model.process import Process, ProgramFile

TEXT = b"#!/bin/sh\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def process(tmp_path: Path) -> Process:
    path = tmp_path / "a"
    path.write_bytes(TEXT)
    return msgspec.structs.replace(CURL, program=str(path), executable=str(path), inode=path.stat().st_ino)


class Desk:
    """Files that are looked up when the test says so."""

    def __init__(self) -> None:
        self.may_go = threading.Semaphore(0)
        self.told = threading.Semaphore(0)
        self.asked: list[bytes] = []
        self.files = ProgramFiles(self.told.release, self.find_owner)

    def find_owner(self, path: bytes) -> str:
        assert self.may_go.acquire(timeout=60)
        self.asked.append(path)
        if path == b"/broken":
            raise OSError("no database")
        return "owner"

    def wait(self) -> None:
        self.may_go.release()
        assert self.told.acquire(timeout=60)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.may_go.release(1000)


def test_nobody_waits_and_each_file_is_looked_up_once(desk: Desk, process: Process) -> None:
    assert desk.files.find(process) is None
    assert desk.files.find(msgspec.structs.replace(process, pid=1, args=())) is None
    desk.wait()
    assert desk.files.find(process) == ProgramFile("owner", DIGEST)
    assert desk.asked == [process.program.encode()]


def test_a_file_that_was_written_to_is_read_anew_for_the_next_start(desk: Desk, process: Process) -> None:
    desk.files.find(process)
    desk.wait()
    desk.files.find(process)
    for exec_id, text in ((process.exec_id + 1, TEXT), (process.exec_id + 2, b"#!/bin/ls\n")):
        Path(process.executable).write_bytes(text)
        later = msgspec.structs.replace(process, exec_id=exec_id)
        assert desk.files.find(later) is None
        desk.wait()
        assert desk.files.find(later) == ProgramFile("owner", hashlib.sha256(text).hexdigest())
    assert desk.files.find(process) == ProgramFile("owner", DIGEST)  # as it was when that one was started


def test_another_start_of_the_same_file_asks_no_database(desk: Desk, process: Process) -> None:
    later = msgspec.structs.replace(process, exec_id=process.exec_id + 1)
    for each in (process, later):
        desk.files.find(each)
        desk.wait()
        assert desk.files.find(each) == ProgramFile("owner", DIGEST)
    assert len(desk.asked) == 1


def test_a_file_that_is_not_the_hosts_is_not_looked_at(desk: Desk, process: Process) -> None:
    assert desk.files.find(msgspec.structs.replace(process, is_host_file=False)) == UNKNOWN_FILE
    assert desk.asked == []


def test_a_database_that_fails_tells_nothing(desk: Desk, process: Process) -> None:
    broken = msgspec.structs.replace(process, program="/broken")
    desk.files.find(broken)
    desk.wait()
    assert desk.files.find(broken) == ProgramFile(None, DIGEST)


def test_so_many_wait_and_no_more(desk: Desk, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_files, "MAX_WAITING", 2)
    found = [desk.files.find(msgspec.structs.replace(process, program=f"/{number}")) for number in range(3)]
    assert found == [None, None, UNKNOWN_FILE]


def test_a_folder_in_the_place_of_a_program_has_no_digest_and_stops_no_later_lookup(
    desk: Desk, process: Process, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    replaced = msgspec.structs.replace(process, executable=str(folder), inode=folder.stat().st_ino)
    for each, digest in ((replaced, None), (process, DIGEST)):
        assert desk.files.find(each) is None
        desk.wait()
        assert desk.files.find(each) == ProgramFile("owner", digest)


def test_without_a_thread_to_look_it_up_nothing_is_told_of_a_file(
    desk: Desk, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as shortage:
        shortage.setattr(threading.Thread, "start", refuse)
        assert desk.files.find(process) == UNKNOWN_FILE
    assert desk.files.find(process) is None  # there are threads again
    desk.wait()
    assert desk.files.find(process) == ProgramFile("owner", DIGEST)


def test_only_the_very_file_is_hashed(tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_sha256(process.executable, process.inode) == DIGEST
    assert read_sha256(process.executable, process.inode + 1) is None
    assert read_sha256("/nowhere", 1) is None
    assert read_sha256("/a\0b", 1) is None
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert read_sha256(str(pipe), pipe.stat().st_ino) is None
    monkeypatch.setattr(program_files, "MAX_SIZE", len(TEXT) - 1)
    assert read_sha256(process.executable, process.inode) is None
