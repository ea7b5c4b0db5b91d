"""`tinysnitch lists update`: nothing else ever fetches a list. The daemon notices the new file by itself."""

import sys
import time
from pathlib import Path

import click

from tinysnitch.cli.completion.from_daemon import complete_list
from tinysnitch.cli.options import NamedFolder, examples, json_option, socket_option
from tinysnitch.commandline.notes import print_error, print_note
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.list_entries import ListContent
from tinysnitch.core.rules.remote_column import LISTS_FOLDER
from tinysnitch.fetch.list_update import SourcedList, find_sourced, update_list
from tinysnitch.output.lines import print_line, print_object, print_progress
from tinysnitch.protocol.framing import encode_object

_PROGRESS_S = 0.1  # between two updates of the progress line
_MB = 1_000_000


@click.command(
    "update",
    epilog=examples("tinysnitch lists update", "tinysnitch lists update ads", f"head -1 {LISTS_FOLDER}/ads"),
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_list)
@click.option(
    "--folder",
    type=NamedFolder(),
    default=LISTS_FOLDER,
    show_default=True,
    help="The folder of the lists.",
)
@socket_option
@json_option
def update_command(names: tuple[str, ...], folder: Path, socket_path: str, as_json: bool) -> int:
    """Fetch the lists NAME anew, or all that name their source.

    A list names its source by a line `# source: https://...` at its beginning. A list that cannot be fetched stays as
    it is.
    """
    targets = find_sourced(folder, names)
    if folder != Path(LISTS_FOLDER) and not folder.exists():
        raise SnitchError(f"there is no folder {folder}", "name the folder of the lists, or leave --folder out")
    if not targets:
        print_note(f"no list in {folder} has a `# source: https://...` line")
    failed = [target for target in targets if not _update(target, as_json)]
    return 1 if failed else 0


def _update(target: SourcedList, as_json: bool) -> bool:
    name = target.path.name
    print_note(f"{name}: fetching {target.source}")
    progress = _Progress(name)
    try:
        content = update_list(target, progress.show)
    except SnitchError as error:
        if error.exit_code != 1:
            raise
        progress.end()
        print_error(f"{name}: {error}; the old list stays", error.hint)
        return False
    progress.end()
    if as_json:
        print_object(encode_object(_fields(target, content)))
    else:
        print_line(f"{name}: {len(content.names):,} names, {len(content.networks):,} addresses and networks")
        if content.bad_lines:
            print_note(f"{name}: lines that are not understood: {content.bad_lines:,}")
    return True


def _fields(target: SourcedList, content: ListContent) -> dict[str, object]:
    return {
        "list": target.path.name,
        "source": target.source,
        "names": len(content.names),
        "addresses": content.addresses,
        "networks": len(content.networks) - content.addresses,
        "bad_lines": content.bad_lines,
    }


class _Progress:
    """A line that is updated in place if standard error is a terminal; else nothing is shown."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next_s = 0.0
        self._is_wanted = sys.stderr.isatty()
        self._is_shown = False

    def show(self, size: int, total: int | None) -> None:
        now_s = time.monotonic()
        if not self._is_wanted or (now_s < self._next_s and size != total):
            return
        self._next_s, self._is_shown = now_s + _PROGRESS_S, True
        of_all = "" if total is None else f" of {total / _MB:.1f}"
        print_progress(f"{self._name}: {size / _MB:.1f}{of_all} MB")

    def end(self) -> None:
        if self._is_shown:
            print_progress("")
