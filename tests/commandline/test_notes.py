import pytest

from tinysnitch.commandline import notes
from tinysnitch.core.model.errors import SnitchError

HOSTILE = "a\x1b[31m\n\u202eb\udcff"
SAFE = r"a\x1b[31m\x0a\u202eb\xff"


def test_all_else_goes_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    notes.print_error(HOSTILE)
    notes.print_snitch_error(SnitchError("broken", HOSTILE))
    notes.print_note("by the way")
    notes.print_bare_note(HOSTILE)
    lines = [f"error: {SAFE}", "error: broken", f"hint: {SAFE}", "by the way"]
    assert capsys.readouterr() == ("", "".join(f"tinysnitch: {line}\n" for line in lines) + SAFE + "\n")
