import time

import pytest

from tinysnitch.client.local_time import tell_time


def test_the_time_of_day_is_that_of_this_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EST+5")
    time.tzset()
    try:
        assert tell_time("2026-12-02T16:04:05.123Z") == "11:04:05"
        assert tell_time("yesterday") == "yesterday"
    finally:
        monkeypatch.undo()
        time.tzset()
