import pytest

from tinysnitch.cli import output

HOSTILE = "a\x1b[31m\n\u202eb\udcff"
SAFE = r"a\x1b[31m\x0a\u202eb\xff"


def test_data_goes_to_stdout_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_line(HOSTILE)
    output.print_lines(["x", HOSTILE])
    output.print_object(b'{"a":"\\u001b"}')
    assert capsys.readouterr() == (f'{SAFE}\nx\n{SAFE}\n{{"a":"\\u001b"}}\n', "")
