"""`tinysnitch lists update`, with a real server."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.fetch.https_server import HttpsServer
from tinysnitch.cli import lists_update


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with HttpsServer(tmp_path_factory.mktemp("https")) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "ads").write_text(f"# source: {server.url}/list\n")
    return folder


def test_a_list_is_fetched(folder: Path, server: HttpsServer, command: Command) -> None:
    told = command("lists", "update", "--folder", str(folder))
    assert told == (
        0,
        "ads: 2 names, 0 addresses and networks\n",
        f"tinysnitch: ads: fetching {server.url}/list\ntinysnitch: ads: lines that are not understood: 1\n",
    )
    assert "tracker.test" in (folder / "ads").read_text()


def test_json_tells_what_was_fetched(folder: Path, server: HttpsServer, command: Command) -> None:
    told = json.loads(command("lists", "update", "ads", "--json", "--folder", str(folder)).out)
    source = f"{server.url}/list"
    assert told == {"list": "ads", "source": source, "names": 2, "addresses": 0, "networks": 0, "bad_lines": 1}


def test_a_failure_stops_no_other_list(folder: Path, server: HttpsServer, command: Command) -> None:
    (folder / "aaa").write_text(f"# source: {server.url}/none\nold.test\n")
    code, out, err = command("lists", "update", "--folder", str(folder))
    assert (code, out) == (1, "ads: 2 names, 0 addresses and networks\n")
    assert "tinysnitch: error: aaa: the server says 404 Not Found; the old list stays\ntinysnitch: hint: " in err
    assert "old.test" in (folder / "aaa").read_text()


def test_nothing_to_do(tmp_path: Path, command: Command) -> None:
    code, out, err = command("lists", "update", "--folder", str(tmp_path))
    assert (code, out) == (0, "")
    assert err == f"tinysnitch: no list in {tmp_path} has a `# source: https://...` line\n"
    assert command("lists", "update", "ads", "--folder", str(tmp_path)).code == 1


def test_a_folder_that_is_not_there_is_an_error_where_it_was_named(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = tmp_path / "none"
    code, out, err = command("lists", "update", "--folder", str(none))
    assert (code, out) == (1, "")
    assert err.startswith(f"tinysnitch: error: there is no folder {none}\ntinysnitch: hint: ")
    monkeypatch.setattr(lists_update, "LISTS_FOLDER", none)
    assert command("lists", "update", "--folder", str(none)).code == 0


def test_progress_is_one_line_on_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    words = [str(Path(sys.executable).parent / "tinysnitch"), "lists", "update", "--folder", str(folder)]
    done = subprocess.run(words, stderr=theirs, stdout=subprocess.PIPE, text=True, timeout=60)
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout == "ads: 2 names, 0 addresses and networks\n"
    assert "\r\x1b[Kads: 0.0 of 0.0 MB\r\x1b[K" in said
