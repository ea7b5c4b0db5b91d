"""The process that compiles one long list: `python -m tinysnitch.store.compile_list SOURCE TARGET`.

A million lines take seconds and 350 MB, which the daemon has for neither its verdicts nor its memory.
"""

import sys
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.store.compiled_list import compile_list, save_compiled
from tinysnitch.store.text_file import errors_named


def main(source: Path, target: Path) -> int:
    """The exit code; what is wrong is the last line of standard error."""
    try:
        with errors_named(source):
            compiled = compile_list(source)
        with errors_named(target):
            save_compiled(compiled, target)
    except SnitchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
