import io

import pytest

from tinysnitch.cli import output
from tinysnitch.core.errors import SnitchError

HOSTILE = "a\x1b[31m\n\u202eb\udcff"
SAFE = r"a\x1b[31m\x0a\u202eb\xff"


def test_data_goes_to_stdout_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line(HOSTILE)
    output.print_lines(["x", HOSTILE])
    output.print_object(b'{"a":"\\u001b"}')
    assert capsys.readouterr() == (f'{SAFE}\nx\n{SAFE}\n{{"a":"\\u001b"}}\n', "")


def test_all_else_goes_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_error(HOSTILE)
    output.print_snitch_error(SnitchError("broken", HOSTILE))
    output.print_note("by the way")
    lines = [f"error: {SAFE}", "error: broken", f"hint: {SAFE}", "by the way"]
    assert capsys.readouterr() == ("", "".join(f"tinysnitch: {line}\n" for line in lines))


def test_a_poor_locale_shows_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, "ascii"))
    output.make_printable()
    output.print_line("日")
    assert raw.getvalue() == b"\\u65e5\n"
