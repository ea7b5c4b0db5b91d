from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.view.live.sizes import draw_line, format_rate, format_size


def test_sizes_are_short() -> None:
    shown = [format_size(size) for size in (0, 7, 999, 1000, 1234, 9_960, 34_500, 999_400, 999_600, 1_200_000_000)]
    assert shown == ["0", "7", "999", "1.0k", "1.2k", "10k", "34k", "999k", "1.0M", "1.2G"]
    assert [format_rate(rate) for rate in (0, 12.4, 1_234)] == ["0 B/s", "12 B/s", "1.2 kB/s"]


@given(st.integers(0, 2**63))
def test_no_size_is_longer_than_its_column(size: int) -> None:
    assert len(format_size(size)) <= 5


@given(st.lists(st.integers(0, 2**63), max_size=60))
def test_a_line_shows_whatever_is_not_nothing(parts: list[int]) -> None:
    line = draw_line(tuple(parts))
    assert [block != " " for block in line] == [part > 0 for part in parts]
    assert not any(parts) or line[parts.index(max(parts))] == "█"
