import pytest

from tinysnitch.view.duration import format_duration, format_time_left


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.9, "9 s"), (423, "7 min 3 s"), (18_720, "5 h 12 min"), (273_600, "3 d 4 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (60, "60 s"), (120, "120 s"), (3599, "59 min 59 s")])
def test_the_time_that_is_left(seconds: int, text: str) -> None:
    assert format_time_left(seconds) == text


def test_the_time_that_is_left_is_read_aloud() -> None:
    assert [format_time_left(seconds, "seconds") for seconds in (59, 3599)] == ["59 seconds", "59 min 59 s"]
