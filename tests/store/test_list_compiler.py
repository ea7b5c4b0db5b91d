"""The process that compiles a list: its exit code, and its errors; and how it waits for a file that is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinysnitch.store import list_compiler
from tinysnitch.store.compiled_list import map_compiled


def run(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "tinysnitch.store.list_compiler", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_list_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "ads").write_bytes(b"ads.test\n\xff\xfe\n")
    done = run(tmp_path / "ads", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    found = map_compiled(tmp_path / "out")
    assert found is not None
    assert (found.summary.names, found.summary.bad_lines) == (1, 1)


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "none", tmp_path / "out")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'none'}: No such file or directory\n")
    (tmp_path / "ads").write_text("ads.test\n")
    done = run(tmp_path / "ads", tmp_path / "none" / "out")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'none' / 'out'}: No such file or directory\n")


def test_a_file_that_is_written_all_the_time_is_compiled_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def write_on(wait_s: float) -> None:
        waits.append(wait_s)
        with (tmp_path / "ads").open("a") as file:
            file.write(f"n{len(waits)}.test\n")

    monkeypatch.setattr(list_compiler.time, "sleep", write_on)
    write_on(0.0)
    assert list_compiler.main(tmp_path / "ads", tmp_path / "out") == 0
    found = map_compiled(tmp_path / "out")
    assert found is not None
    assert found.summary.names == len(waits) > 10
