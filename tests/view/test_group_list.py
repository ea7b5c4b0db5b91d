import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.view.group_list import GroupList, ListRow
from tinysnitch.view.keys import ListAct

TEN = {number: 1 for number in range(10)}


def list_of(heights: dict[int, int], room: int = 4) -> GroupList:
    return GroupList(tuple(heights)).lay_out(heights, 40, room)


def in_sight(group: GroupList) -> list[int]:
    return [row.prompt_id for row in group.in_sight]


def after(group: GroupList, *acts: ListAct) -> GroupList:
    """As a front end that paints before each key."""
    for act in acts:
        group = group.note_painted().act(act)
    return group.note_painted()


def test_without_room_nothing_is_seen() -> None:
    assert after(GroupList((1, 2)), ListAct.END).unseen == (1, 2)
    assert after(list_of(TEN, room=0), ListAct.END).unseen == tuple(TEN)


def test_what_fits_is_seen_once_it_was_painted() -> None:
    group = list_of(TEN, room=10)
    assert (group.unseen, group.has_news) == (tuple(TEN), True)
    assert (group.note_painted().unseen, group.note_painted().has_news) == ((), False)


def test_it_is_seen_page_by_page() -> None:
    group = list_of(TEN)
    assert after(group).unseen == tuple(range(4, 10))
    assert after(group, ListAct.PAGE_DOWN).unseen == (8, 9)
    assert after(group, ListAct.PAGE_DOWN, ListAct.PAGE_DOWN).unseen == ()
    assert in_sight(after(group, ListAct.PAGE_DOWN, ListAct.PAGE_DOWN)) == [6, 7, 8, 9]


def test_who_jumps_to_the_end_has_not_seen_what_is_between() -> None:
    group = after(list_of(TEN), ListAct.END)
    assert group.unseen == (4, 5)
    assert in_sight(group.show_unseen()) == [4, 5, 6, 7]
    assert group.show_unseen().note_painted().unseen == ()


def test_a_page_that_was_not_painted_was_not_seen() -> None:
    group = list_of(TEN).note_painted().act(ListAct.PAGE_DOWN).act(ListAct.PAGE_DOWN).note_painted()
    assert group.unseen == (4, 5)


def test_what_is_left_out_need_not_be_seen_and_is_not_taken() -> None:
    group = after(list_of(TEN, room=9), ListAct.DOWN, ListAct.LEAVE_OUT)
    assert (group.taken, group.unseen) == (tuple(range(1, 10)), (9,))
    for _step in range(9):
        group = group.move(1)
    group = group.switch()
    assert (group.taken, group.unseen, group.left_out) == (tuple(range(1, 9)), (), {0, 9})
    assert group.switch().taken == tuple(range(1, 10))


def test_the_cursor_moves_from_none_through_all_and_back() -> None:
    group = list_of(TEN)
    assert (group.cursor, group.denied, group.switch().taken) == (None, tuple(TEN), tuple(TEN))
    assert group.move(-1).cursor is None
    seen = []
    for _step in range(12):
        group = group.move(1)
        assert group.cursor in in_sight(group)
        seen.append(group.cursor)
    assert seen == [*range(10), 9, 9]
    assert group.denied == (9,)
    for _step in range(9):
        group = group.move(-1)
        assert group.cursor in in_sight(group)
    assert (group.cursor, in_sight(group), group.move(-1).cursor) == (0, [0, 1, 2, 3], None)


def test_it_begins_at_what_is_in_sight() -> None:
    assert list_of(TEN).act(ListAct.END).move(1).cursor == 6


@pytest.mark.parametrize(
    ("acts", "cursor", "shown"),
    [
        ([ListAct.PAGE_DOWN], 4, [4, 5, 6, 7]),
        ([ListAct.WHEEL_DOWN], 3, [3, 4, 5, 6]),
        ([ListAct.END, ListAct.PAGE_UP], 5, [2, 3, 4, 5]),
        ([ListAct.END, ListAct.WHEEL_UP], 6, [3, 4, 5, 6]),
        ([ListAct.END, ListAct.TOP], 3, [0, 1, 2, 3]),
    ],
)
def test_who_scrolls_takes_the_cursor_along(acts: list[ListAct], cursor: int, shown: list[int]) -> None:
    group = list_of(TEN).move(1)
    for act in acts:
        group = group.act(act)
    assert (group.cursor, in_sight(group)) == (cursor, shown)


def test_a_click_moves_the_cursor_and_a_second_one_leaves_out() -> None:
    group = list_of(TEN).point(2)
    assert (group.cursor, group.left_out) == (2, frozenset())
    assert group.point(2).left_out == {2}


def test_a_name_of_more_rows_than_there_are_is_scrolled_through() -> None:
    group = list_of({1: 1, 2: 6, 3: 1}, room=4)
    rows = []
    for _step in range(12):
        group = group.note_painted().move(1)
        rows.append((group.cursor, [row.index for row in group.in_sight if row.prompt_id == 2]))
    assert rows[:5] == [(1, [0, 1, 2]), (2, [0, 1, 2, 3]), (2, [1, 2, 3, 4]), (2, [2, 3, 4, 5]), (3, [3, 4, 5])]
    assert group.note_painted().unseen == ()
    up = [(group := group.move(-1)).cursor for _step in range(6)]
    assert up == [2, 2, 2, 1, None, None]


def test_half_a_name_was_not_seen() -> None:
    group = list_of({1: 3, 2: 3}, room=4).note_painted()
    assert (group.seen, group.unseen) == ({1}, (2,))
    assert group.begun == {ListRow(2, 0)}
    assert group.show_unseen().top == 2
    assert group.show_unseen().note_painted().unseen == ()


def test_on_a_screen_of_another_width_what_was_seen_whole_stays_seen() -> None:
    group = list_of({1: 3, 2: 3}, room=4).note_painted().lay_out({1: 1, 2: 3}, 60, 3)
    assert (group.seen, group.begun, group.unseen) == ({1}, frozenset(), (2,))
    assert group.lay_out({1: 1, 2: 3}, 60, 3) == group
    assert list_of(TEN).act(ListAct.END).lay_out(TEN, 40, 10).top == 0


def test_the_cursor_stays_with_its_question_when_others_go() -> None:
    group = list_of(TEN).note_painted().move(1).move(1).move(1)
    assert group.cursor == 2
    group = group.without(0).without(1)
    assert (group.cursor, in_sight(group), group.has_news) == (2, [2, 3, 4, 5], True)
    assert group.without(2).cursor == 3
    assert list_of({1: 1, 2: 1}).move(1).move(1).without(2).cursor == 1
    assert list_of({1: 1}).move(1).without(1).cursor is None
    assert group.without(3).cursor == 2


def test_rows_in_sight_stay_where_they_are_when_one_above_goes() -> None:
    group = list_of(TEN).act(ListAct.PAGE_DOWN)
    assert in_sight(group.without(0)) == [4, 5, 6, 7]
    assert in_sight(group.without(9)) == [4, 5, 6, 7]
    assert group.switch().without(3).left_out == frozenset()


HEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=9).map(lambda found: dict(enumerate(found)))
STEPS = st.lists(st.sampled_from([*ListAct, "paint", "gone"]), max_size=40)


@given(HEIGHTS, st.integers(1, 6), STEPS)
def test_whatever_is_pressed_only_what_was_painted_counts_as_seen(
    heights: dict[int, int], room: int, steps: list[ListAct | str]
) -> None:
    group, painted = list_of(heights, room), set[ListRow]()
    for step in steps:
        if isinstance(step, ListAct):
            group = group.act(step)
        elif step == "paint":
            painted |= set(group.in_sight)
            group = group.note_painted()
        elif len(group.ids) > 1:
            group = group.without(group.cursor if group.cursor is not None else group.ids[-1])
        assert group.in_sight
        assert group.cursor is None or group.cursor in in_sight(group)
        assert len(group.in_sight) == min(room, len(group.rows))
        whole = {number for number in group.ids if {ListRow(number, row) for row in range(heights[number])} <= painted}
        assert group.seen & set(group.ids) == whole


@given(HEIGHTS, st.integers(1, 6))
def test_who_goes_on_to_what_is_unseen_sees_all_at_last(heights: dict[int, int], room: int) -> None:
    group, pages = list_of(heights, room).note_painted(), 1
    while group.unseen:
        group, pages = group.show_unseen().note_painted(), pages + 1
    assert pages <= -(-sum(heights.values()) // room)
