"""A list is replaced whole by what its source has, or stays as it is."""

import errno
import os
from pathlib import Path

import pytest

from tests.fetch.https_server import LIST, HttpsServer
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.list_entries import parse_list
from tinysnitch.fetch import list_update
from tinysnitch.fetch.list_update import SourcedList, find_sourced, update_list


def write(folder: Path, source: str | None, name: str = "ads") -> Path:
    path = folder / name
    path.write_text(f"# source: {source}\nold.test\n" if source else "old.test\n")
    return path


def update(path: Path) -> None:
    (target,) = find_sourced(path.parent, [path.name])
    update_list(target, lambda _size, _total: None)


def test_a_list_is_replaced_and_keeps_its_source(trusted: HttpsServer, tmp_path: Path) -> None:
    path = write(tmp_path, f"{trusted.url}/list")
    path.chmod(0o640)
    for _ in range(2):
        update(path)
        assert path.read_bytes() == f"# source: {trusted.url}/list\n".encode() + LIST
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["ads"]


def test_a_mark_of_the_byte_order_costs_no_entry(trusted: HttpsServer, tmp_path: Path) -> None:
    path = write(tmp_path, f"{trusted.url}/marked")
    update(path)
    assert parse_list(path.read_text()).names == {"ads.test", "tracker.test"}


@pytest.mark.parametrize("place", ["none", "html", "marked-html", "empty", "short", "away"])
def test_the_old_one_stays_on_any_failure(trusted: HttpsServer, tmp_path: Path, place: str) -> None:
    path = write(tmp_path, f"{trusted.url}/{place}")
    before = path.read_text(), path.stat()
    with pytest.raises(SnitchError):
        update(path)
    assert (path.read_text(), path.stat()) == before
    assert os.listdir(tmp_path) == ["ads"]


def test_which_lists_have_a_source(tmp_path: Path) -> None:
    path = write(tmp_path, "https://a.test/")
    write(tmp_path, None, "mine")
    for name in (".ads.k2x", "ads~"):  # no rule can name these
        write(tmp_path, "https://a.test/", name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert find_sourced(tmp_path) == [SourcedList(path, "https://a.test/")]
    assert find_sourced(tmp_path, ["ads"]) == [SourcedList(path, "https://a.test/")]
    assert find_sourced(tmp_path / "none") == []
    with pytest.raises(SnitchError, match="list mine has no source"):
        find_sourced(tmp_path, ["mine"])
    for name in ("none", "../ads", "folder", "link", ""):
        with pytest.raises(SnitchError, match="there is no list"):
            find_sourced(tmp_path, [name])


@pytest.mark.parametrize(
    ("number", "exit_code", "told"), [(errno.EACCES, 4, "Permission denied"), (errno.EROFS, 1, "Read-only file system")]
)
def test_who_cannot_write_fetches_nothing_and_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, exit_code: int, told: str
) -> None:
    def refuse(**_where: object) -> None:
        raise OSError(number, os.strerror(number))

    path = write(tmp_path, "https://127.0.0.1:1/")
    monkeypatch.setattr(list_update, "TemporaryFile", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root could always write
    with pytest.raises(SnitchError, match=told) as raised:
        update(path)
    assert raised.value.exit_code == exit_code
