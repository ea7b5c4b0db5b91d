import json

import pytest

from tinysnitch.output import lines
from tinysnitch.protocol.messages import RuleEntry, RuleSource

HOSTILE = "a\x1b[31m\n\u202eb\udcff"
SAFE = r"a\x1b[31m\x0a\u202eb\xff"


def test_data_goes_to_stdout_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    lines.print_line(HOSTILE)
    lines.print_lines(["x", HOSTILE])
    lines.print_object(b'{"a":"\\u001b"}')
    assert capsys.readouterr() == (f'{SAFE}\nx\n{SAFE}\n{{"a":"\\u001b"}}\n', "")


def test_an_entry_is_an_object_with_its_moments_as_times(capsys: pytest.CaptureFixture[str]) -> None:
    entry = RuleEntry("deny - - -", RuleSource.QUIT, until=1_700_000_000.25, pid=4)
    lines.print_entry(entry, "until", "last", without={"count", "number", "note", "group"})
    told = json.loads(capsys.readouterr().out)
    assert told == {"rule": "deny - - -", "source": "quit", "until": "2023-11-14T22:13:20.250Z", "pid": 4, "last": None}


def test_progress_stays_in_its_line_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    lines.print_progress(HOSTILE)
    assert capsys.readouterr() == ("", f"\r\x1b[K{SAFE}")
