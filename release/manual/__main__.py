"""`python -m release.manual FOLDER` writes man pages and completion into FOLDER, which is as /usr/share.

The same sources make the same bytes if SOURCE_DATE_EPOCH says the date (reproducible-builds.org), which is else today.
"""

import os
import sys
import time
from pathlib import Path

from release.manual.completion import write_completion
from release.manual.pages import PAGES, write_page
from tinysnitch import __version__


def main() -> None:
    write_manual(Path(sys.argv[1]))


def write_manual(share: Path) -> None:
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    date = time.strftime("%Y-%m-%d", moment)
    files = {page.place: write_page(page, date, __version__) for page in PAGES}
    for page in PAGES:
        if page.command:
            files |= write_completion(page.name, page.load())
    for place, text in files.items():
        path = share / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
