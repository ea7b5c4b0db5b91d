import pytest

from tinysnitch.view.duration import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.9, "9 s"), (423, "7 min 3 s"), (18_720, "5 h 12 min"), (273_600, "3 d 4 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
