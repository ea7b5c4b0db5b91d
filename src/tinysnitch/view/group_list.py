"""The questions that are answered together, as a list: what was left out, where the cursor is, and what was seen.

1. A question counts as seen once all of its rows were painted. Nothing is allowed that was not seen.
2. No question joins a list later. One that is gone leaves it; the cursor stays with its question.
3. The list opens with the cursor on none: then n is for all. Once it was moved onto a question, n is for that one.

It knows how many rows each question takes and how many there is room for, as the front end told; not what they say.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import assert_never

import msgspec

from tinysnitch.view.keys import ListAct

WHEEL_ROWS = 3


class ListRow(msgspec.Struct, frozen=True):
    prompt_id: int
    index: int  # of this row among those of its question


class GroupList(msgspec.Struct, frozen=True):
    ids: tuple[int, ...]  # of the questions, in the order in which they are shown
    left_out: frozenset[int] = frozenset()
    cursor: int | None = None  # the question that it is on
    top: int = 0  # the first row in sight
    columns: int = 0
    room: int = 0  # rows; with no room nothing is ever seen
    heights: tuple[int, ...] = ()  # how many rows each question takes
    seen: frozenset[int] = frozenset()  # questions of which every row was painted
    begun: frozenset[ListRow] = frozenset()  # painted rows of the others

    @property
    def taken(self) -> tuple[int, ...]:
        """The questions that y is for."""
        return tuple(prompt_id for prompt_id in self.ids if prompt_id not in self.left_out)

    @property
    def unseen(self) -> tuple[int, ...]:
        """Those of them that keep y from counting."""
        return tuple(prompt_id for prompt_id in self.taken if prompt_id not in self.seen)

    @property
    def denied(self) -> tuple[int, ...]:
        """The questions that n is for."""
        return self.taken if self.cursor is None else (self.cursor,)

    @property
    def rows(self) -> tuple[ListRow, ...]:
        each = zip(self.ids, self.heights, strict=False)
        return tuple(ListRow(prompt_id, index) for prompt_id, height in each for index in range(height))

    @property
    def in_sight(self) -> tuple[ListRow, ...]:
        return self.rows[self.top : self.top + self.room]

    @property
    def has_news(self) -> bool:
        """Whether rows are in sight that were never painted."""
        return any(row.prompt_id not in self.seen and row not in self.begun for row in self.in_sight)

    def lay_out(self, heights: Mapping[int, int], columns: int, room: int) -> "GroupList":
        """The list on a screen of another size, or after one that was gone. What was seen whole stays seen; what was
        begun is broken elsewhere now, and must be seen anew."""
        found = tuple(heights[prompt_id] for prompt_id in self.ids)
        begun = self.begun if (columns, found) == (self.columns, self.heights) else frozenset[ListRow]()
        return self._with(heights=found, columns=columns, room=room, begun=begun)._scroll_to(self.top)

    def note_painted(self) -> "GroupList":
        """The rows in sight were on the screen."""
        begun = self.begun.union(self.in_sight)
        whole = {row.prompt_id for row in begun} - {row.prompt_id for row in self.rows if row not in begun}
        return self._with(
            seen=self.seen | whole, begun=frozenset(row for row in begun if row.prompt_id not in self.seen | whole)
        )

    def without(self, prompt_id: int) -> "GroupList":
        """The list without a question. The cursor goes to the one below it, else to the one above."""
        at = self.ids.index(prompt_id)
        ids = self.ids[:at] + self.ids[at + 1 :]
        next_id = (self.ids[at + 1 :] or self.ids[:at][-1:] or (None,))[0]
        above = sum(row.prompt_id == prompt_id for row in self.rows[: self.top])
        return self._with(
            ids=ids,
            heights=self.heights[:at] + self.heights[at + 1 :],
            cursor=next_id if self.cursor == prompt_id else self.cursor,
            left_out=self.left_out - {prompt_id},
        )._scroll_to(self.top - above)

    def act(self, act: ListAct) -> "GroupList":
        """The list after a key of it."""
        match act:
            case ListAct.LEAVE_OUT:
                return self.switch()
            case ListAct.DOWN | ListAct.UP:
                return self.move(1 if act is ListAct.DOWN else -1)
            case ListAct.PAGE_DOWN | ListAct.PAGE_UP:
                return self.scroll(self.room if act is ListAct.PAGE_DOWN else -self.room)
            case ListAct.WHEEL_DOWN | ListAct.WHEEL_UP:
                return self.scroll(WHEEL_ROWS if act is ListAct.WHEEL_DOWN else -WHEEL_ROWS)
            case ListAct.END | ListAct.TOP:
                return self.scroll(len(self.rows) if act is ListAct.END else -len(self.rows))
            case _:
                assert_never(act)

    def point(self, prompt_id: int) -> "GroupList":
        """The list after a click on a question: the cursor is there; if it was there already, as with Space."""
        return self.switch() if self.cursor == prompt_id else self._with(cursor=prompt_id)

    def switch(self) -> "GroupList":
        """Leave the question under the cursor out, or take it in again."""
        return self if self.cursor is None else self._with(left_out=self.left_out ^ {self.cursor})

    def move(self, step: int) -> "GroupList":
        """The cursor one question down, or with -1 up: above the first it is on none. A question of more rows than
        there is room for is scrolled through first."""
        if self.cursor is None:
            in_sight = self.in_sight
            return self._go_to(in_sight[0].prompt_id, step) if in_sight and step > 0 else self
        first, last = self._rows_of(self.cursor)
        if (step > 0 and last >= self.top + self.room) or (step < 0 and first < self.top):
            return self._scroll_to(self.top + step)
        at = self.ids.index(self.cursor) + step
        if at < 0:
            return self._with(cursor=None)._scroll_to(0)
        return self._go_to(self.ids[min(at, len(self.ids) - 1)], step)

    def scroll(self, count: int) -> "GroupList":
        """So many rows down, or up if it is below 0. The cursor stays in sight."""
        moved = self._scroll_to(self.top + count)
        whole = [row.prompt_id for row in moved.in_sight if moved._is_whole(row.prompt_id)]
        if self.cursor is None or self.cursor in whole or not moved.in_sight:
            return moved
        shown = whole or [row.prompt_id for row in moved.in_sight]
        return moved._with(cursor=shown[0 if count > 0 else -1])

    def show_unseen(self) -> "GroupList":
        """Scroll to the first row that keeps y from counting."""
        unseen = self.unseen
        rows = enumerate(self.rows)
        at = next((at for at, row in rows if row.prompt_id in unseen and row not in self.begun), self.top)
        return self.scroll(at - self.top)

    def _with(self, **changes: object) -> "GroupList":
        return msgspec.structs.replace(self, **changes)

    def _scroll_to(self, top: int) -> "GroupList":
        return self._with(top=max(0, min(top, sum(self.heights) - self.room)))

    def _go_to(self, prompt_id: int, step: int) -> "GroupList":
        """The cursor on this question, which comes into sight: whole, or as much of it as there is room for."""
        first, last = self._rows_of(prompt_id)
        least = last - self.room + 1  # the top with which its last row is in sight
        top = min(max(self.top, least), first) if step > 0 else max(min(self.top, first), least)
        return self._with(cursor=prompt_id)._scroll_to(top)

    def _rows_of(self, prompt_id: int) -> tuple[int, int]:
        at = self.ids.index(prompt_id)
        ends = list(accumulate(self.heights))
        return ends[at] - self.heights[at], ends[at] - 1

    def _is_whole(self, prompt_id: int) -> bool:
        first, last = self._rows_of(prompt_id)
        return self.top <= first and last < self.top + self.room
