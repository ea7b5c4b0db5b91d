import pytest

from tinysnitch.core.errors import SnitchError
from tinysnitch.tui.delay import VARIABLE, read_delay_s


@pytest.mark.parametrize(
    ("text", "delay_s"), [("", 0.5), ("2", 2.0), ("-1", 0.0), ("0", 0.0), ("inf", 10.0), ("nan", 0.0)]
)
def test_the_delay_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, delay_s: float) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert read_delay_s() == delay_s


def test_a_delay_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "soon")
    with pytest.raises(SnitchError, match=VARIABLE):
        read_delay_s()
