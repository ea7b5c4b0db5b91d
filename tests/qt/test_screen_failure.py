import pytest
from PySide6.QtCore import qWarning

from tinysnitch.qt.screen_failure import find_reason, screen_failure_told

NOT_LOADED = 'Could not load the Qt platform plugin "xcb" in "" even though it was found.'


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (["could not connect to display :9", "xcb-cursor0 is needed", NOT_LOADED], "could not connect to display :9"),
        (
            ["Failed to create wl_display (No such file or directory)\n", NOT_LOADED, "could not connect to display "],
            "Failed to create wl_display (No such file or directory); could not connect to display",
        ),
        (["libxcb-cursor0 is needed to load it.", NOT_LOADED], "libxcb-cursor0 is needed to load it"),
        ([], "it does not say why"),
    ],
)
def test_the_cause_is_found_among_what_qt_says(messages: list[str], reason: str) -> None:
    assert find_reason(messages) == reason


def test_what_qt_says_at_a_start_that_succeeds_is_not_repeated(capfd: pytest.CaptureFixture[str]) -> None:
    with screen_failure_told():
        qWarning("a module is missing")
    assert capfd.readouterr().err == ""
