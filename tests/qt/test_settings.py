import pytest

from tinysnitch.core.errors import SnitchError
from tinysnitch.qt.settings import WindowSettings, read_settings


def test_nothing_said_is_the_usual() -> None:
    assert read_settings({}) == read_settings({"TINYSNITCH_FONTSIZE": ""}) == WindowSettings(0.5, None)


@pytest.mark.parametrize(("said", "delay_s"), [("0", 0.0), ("-3", 0.0), ("2", 2.0), ("inf", 10.0)])
def test_delay(said: str, delay_s: float) -> None:
    assert read_settings({"TINYSNITCH_DELAY_SECONDS": said}).delay_s == delay_s


@pytest.mark.parametrize(("said", "font_pt"), [("20", 20.0), ("0", None), ("-1", None), ("1e9", 200.0)])
def test_size_of_the_type(said: str, font_pt: float | None) -> None:
    assert read_settings({"TINYSNITCH_FONTSIZE": said}).font_pt == font_pt


@pytest.mark.parametrize("variable", ["TINYSNITCH_DELAY_SECONDS", "TINYSNITCH_FONTSIZE"])
@pytest.mark.parametrize("said", ["large", "nan"])
def test_what_is_no_number(variable: str, said: str) -> None:
    with pytest.raises(SnitchError, match=variable):
        read_settings({variable: said})
