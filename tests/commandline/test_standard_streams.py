import io
import os
import subprocess
import sys

import pytest

from tinysnitch.commandline.standard_streams import make_printable


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    code = (
        "import os, sys; from tinysnitch.commandline.standard_streams import open_standard_streams as o; o(); "
        "print([os.readlink(f'/proc/self/fd/{n}') for n in (0, 1)], os.open('/', 0) > 2, "
        "sys.stdout.fileno(), os.get_inheritable(1), file=sys.stderr)"
    )
    line = '"$0" -c "$1" <&- >&-'
    done = subprocess.run(["sh", "-c", line, sys.executable, code], stderr=subprocess.PIPE, text=True)
    assert done.stderr == "['/dev/null', '/dev/null'] True 1 True\n"


def test_a_poor_locale_shows_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii"))
    make_printable()
    sys.stdout.write("日")
    sys.stdout.flush()
    assert raw.getvalue() == b"\\u65e5"


def test_what_standard_error_did_not_take_does_not_fail_again_at_exit() -> None:
    code = (
        "import contextlib, sys; from tinysnitch.commandline.standard_streams import let_errors_go\n"
        "with contextlib.suppress(OSError): print('note', file=sys.stderr)\n"
        "let_errors_go(); sys.stderr.flush(); print('fine')"
    )
    words = ["sh", "-c", '"$0" -c "$1" 2>/dev/full', sys.executable, code]
    done = subprocess.run(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": ""})
    assert (done.returncode, done.stdout) == (0, b"fine\n")
