"""What the daemon imports once it judges: nothing."""

import subprocess
import sys

from publicsuffixlist import PSLFILE

USES = """
import asyncio, sys
from tinysnitch.commandline.entry import UNUSED
sys.modules.update(dict.fromkeys(UNUSED))
import tinysnitch.daemon.startup.lifecycle
from tinysnitch.core.model.domain import find_registrable_domain, normalize_name
from tinysnitch.daemon.startup.late_imports import import_the_rest
from tinysnitch.kernel.system.libcrypto import Libcrypto
from tinysnitch.protocol.log_text import escape
from tinysnitch.store.remote_set import RemoteSet

if sys.argv[1:]:
    import_the_rest()
before = set(sys.modules)
find_registrable_domain("www.bbc.co.uk")
normalize_name("b\\u00fccher.example")
escape("\\x1b")
Libcrypto().encrypt_block(bytes(16), bytes(16))
RemoteSet(["ads.test"])
asyncio.run(asyncio.to_thread(int))
print(*sorted(set(sys.modules) - before))
"""


def late(*words: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", USES, *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_nothing_is_imported_at_its_first_use() -> None:
    assert late("import the rest") == []


def test_without_that_it_would_be() -> None:
    assert {"encodings.punycode", "encodings.unicode_escape"} <= {*late()}


def test_the_list_of_public_suffixes_stays_open() -> None:
    """So its path is walked without the lock of a folder."""
    shows = f"""
import os
from tinysnitch.daemon.startup.late_imports import import_the_rest
def is_open():
    return {PSLFILE!r} in (os.path.realpath(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd"))
before = is_open()
import_the_rest()
print(before, is_open())
"""
    assert subprocess.check_output([sys.executable, "-c", shows], text=True) == "False True\n"
