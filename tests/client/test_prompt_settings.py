import pytest

from tinysnitch.client.prompt_settings import DELAY_VARIABLE, FONT_VARIABLE, read_delay_s, read_font_pt
from tinysnitch.core.model.errors import SnitchError


def test_nothing_said_is_the_usual() -> None:
    assert read_delay_s({}) is read_delay_s({DELAY_VARIABLE: ""}) is None
    assert read_font_pt({}) is read_font_pt({FONT_VARIABLE: ""}) is None


@pytest.mark.parametrize(("said", "delay_s"), [("0", 0.0), ("-3", 0.0), ("2", 2.0), ("inf", 10.0)])
def test_the_delay_stays_within_its_bounds(said: str, delay_s: float) -> None:
    assert read_delay_s({DELAY_VARIABLE: said}) == delay_s


@pytest.mark.parametrize(("said", "font_pt"), [("20", 20.0), ("0", None), ("-1", None), ("1e9", 200.0)])
def test_size_of_the_type(said: str, font_pt: float | None) -> None:
    assert read_font_pt({FONT_VARIABLE: said}) == font_pt


@pytest.mark.parametrize("said", ["large", "nan"])
def test_what_is_no_number(said: str) -> None:
    with pytest.raises(SnitchError, match=DELAY_VARIABLE):
        read_delay_s({DELAY_VARIABLE: said})
    with pytest.raises(SnitchError, match=FONT_VARIABLE):
        read_font_pt({FONT_VARIABLE: said})
