"""The process that compiles one long list: `python -m tinysnitch.store.list_compiler SOURCE TARGET`.

A million lines take seconds and 350 MB: in the daemon itself verdicts would wait, and the memory would stay with it.
"""

import sys
import time
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.store.compiled_list import compile_list, save_compiled
from tinysnitch.store.file_stamp import SETTLE_NS, read_stamp
from tinysnitch.store.whole_file import errors_named

_WAITS = 100  # at most, of SETTLE_NS each


def main(source: Path, target: Path) -> int:
    """Compile; returns the exit code. The last line of standard error tells the problem."""
    try:
        with errors_named(source):
            _wait_settled(source)
            compiled = compile_list(source)
        with errors_named(target):
            save_compiled(compiled, target)
    except SnitchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _wait_settled(path: Path) -> None:
    """Wait until the file's stamp stands for one state only, but not for ever: a program may write all the time."""
    for _ in range(_WAITS):
        if read_stamp(path).is_settled():
            return
        time.sleep(SETTLE_NS / 1_000_000_000)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
