"""Fetches a list anew from the source that its first lines name. On any failure the old list stays as it is."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.undecoded import BYTE_ORDER_MARK, text_of
from tinysnitch.core.rules.list_entries import ListContent, find_source, parse_list
from tinysnitch.core.rules.remote_column import is_list_name
from tinysnitch.fetch.https import Progress, fetch
from tinysnitch.store.whole_file import errors_named, replace_text

_HEADER_BYTES = 8 << 10
_SOURCE_HINT = "write `# source: https://...` as its first line"


class SourcedList(msgspec.Struct, frozen=True):
    path: Path
    source: str


def find_sourced(folder: Path, names: Iterable[str] = ()) -> list[SourcedList]:
    """The lists of these names, or all that name a source. Raises SnitchError if a list of `names` has none."""
    there = {path.name: path for path in _list_files(folder)}
    wanted = tuple(names)
    for name in wanted:
        if name not in there:
            raise SnitchError(f"there is no list {name!r} in {folder}", f"make it, and {_SOURCE_HINT}")
    found = [(there[name], _read_source(there[name])) for name in wanted or sorted(there)]
    for path, source in found:
        if source is None and wanted:
            raise SnitchError(f"list {path.name} has no source", _SOURCE_HINT)
    return [SourcedList(path, source) for path, source in found if source is not None]


def _list_files(folder: Path) -> list[Path]:
    """Only files with a list's name: a killed writer may have left a part of a list under another."""
    with errors_named(folder):
        paths = folder.iterdir() if folder.exists() else ()
        return [path for path in paths if is_list_name(path.name) and path.is_file()]


def _read_source(path: Path) -> str | None:
    with errors_named(path), path.open("rb") as file:
        return find_source(text_of(file.read(_HEADER_BYTES)))


def update_list(target: SourcedList, progress: Progress) -> ListContent:
    """Replace the list by what its source has now, and return its content. Raises SnitchError."""
    _try_writing(target.path.parent)
    text = text_of(fetch(target.source, progress)).removeprefix(BYTE_ORDER_MARK)  # our own line will be the first
    content = parse_list(text)
    if text.lstrip().startswith("<") or not (content.names or content.networks):
        raise SnitchError("what was fetched is not a list", f"see what is at {target.source}")
    with errors_named(target.path):
        replace_text(target.path, _with_source(text, target.source))
    return content


def _try_writing(folder: Path) -> None:
    """Raises SnitchError if nothing can be written to the folder, before anything is fetched. access(2) would not tell
    why."""
    with errors_named(folder), TemporaryFile(dir=folder, prefix="."):
        pass


def _with_source(text: str, source: str) -> str:
    """The text with our own source line first, which counts, whatever source the text itself names."""
    return f"# source: {source}\n{text}"
