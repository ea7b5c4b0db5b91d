"""How much of two sequences is the same."""

from operator import ne

import pytest

from tinysnitch.core.rules.common_ends import Ends, find_common_ends


@pytest.mark.parametrize(
    ("old", "new", "ends"),
    [
        ("", "", (0, 0)),
        ("abc", "abc", (3, 0)),
        ("abc", "abcd", (3, 0)),
        ("abc", "xabc", (0, 3)),
        ("abcd", "abxcd", (2, 2)),
        ("abxcd", "abcd", (2, 2)),
        ("abc", "xyz", (0, 0)),
        ("aa", "aaa", (2, 0)),
        ("aaa", "aa", (2, 0)),
        ("abc", "", (0, 0)),
        ("aba", "a", (1, 0)),
    ],
)
def test_no_item_is_counted_at_both_ends(old: str, new: str, ends: tuple[int, int]) -> None:
    assert find_common_ends(old, new, ne) == ends


def test_equal_objects_are_not_the_same_by_default() -> None:
    one, other = [1], [1]
    assert find_common_ends((one, other), (one, [1], other)) == Ends(1, 1)
    assert Ends(1, 1).middle_of((1, 2, 3, 4)) == (2, 3)
