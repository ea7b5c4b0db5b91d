"""What the daemon imports once it judges: nothing."""

import subprocess
import sys

USES = """
import asyncio, sys
sys.modules["ssl"] = None  # as in commandline/entry.py
import tinysnitch.daemon.lifecycle
from tinysnitch.core.domain import find_registrable_domain, normalize_name
from tinysnitch.daemon.late_imports import import_the_rest
from tinysnitch.kernel.libcrypto import Libcrypto
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
    assert {"encodings.punycode", "encodings.unicode_escape", "publicsuffixlist"} <= {*late()}
