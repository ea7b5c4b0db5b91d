"""What is shown of questions that are answered together: a list of whole names, each with what differs among them.

1. A name is never cut. What does not fit its row goes on in further rows, which are indented.
2. Behind the name stands what is not the same for all: port, protocol, warnings, and arguments at last.
3. Names below one registered domain stand together, in the order in which the domains came.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from tinysnitch.core.prompts.choice import Choice, RemoteScope
from tinysnitch.view.connection_view import present_remote, present_warnings, present_where, present_who
from tinysnitch.view.escape import cell_width, shorten_middle, wrap_columns
from tinysnitch.view.group_list import GroupList, ListRow
from tinysnitch.view.prompt_list import OpenQuestion
from tinysnitch.view.span import Span, Weight, text_of

INDENT = 2  # columns before further rows of a question
GAP = 2  # between a name and what stands behind it
MAX_ARGS_ROWS = 3
_LAST = "arguments"
_DIFFERING = ("port", "protocol", "started as", _LAST)  # facts that are shown where they are not the same for all

Row = tuple[Span, ...]


class ShownRow(msgspec.Struct, frozen=True):
    spans: Row
    prompt_id: int
    is_first: bool  # of its question
    is_cursor: bool
    is_left_out: bool


class GroupView(msgspec.Struct, frozen=True):
    """The list. A front end with another size than `columns` and `room` tells its own, and shows what it is then."""

    rows: tuple[ShownRow, ...]  # those in sight
    columns: int
    room: int  # rows that these fit
    place: str  # which questions are in sight
    unseen_count: int  # questions elsewhere that keep y from counting


class Member(msgspec.Struct, frozen=True):
    """A question of the list."""

    prompt_id: int
    name: Row
    details: tuple[Row, ...] = ()


def order_questions(questions: Sequence[OpenQuestion]) -> tuple[int, ...]:
    """The ids in the order in which they are shown."""
    domains: dict[str, list[int]] = {}
    for question in questions:
        domain = present_remote(question.prompt.connection)[-1].text
        domains.setdefault(domain, []).append(question.prompt.prompt_id)
    return tuple(prompt_id for ids in domains.values() for prompt_id in ids)


def find_differing(questions: Sequence[tuple[OpenQuestion, Choice]]) -> tuple[str, ...]:
    """The labels of the facts that are shown of each question, since they are not the same for all."""
    facts = [_facts_of(question, choice) for question, choice in questions]
    return tuple(label for label in _DIFFERING if len({found.get(label) for found in facts}) > 1)


def present_members(questions: Sequence[tuple[OpenQuestion, Choice]]) -> tuple[Member, ...]:
    """Each question's name, and what differs among these questions, if each is answered with its choice."""
    facts = [_facts_of(question, choice) for question, choice in questions]
    differing = find_differing(questions)
    shared = shared_warnings([question for question, _choice in questions])
    return tuple(
        Member(
            question.prompt.prompt_id,
            _name_of(question, choice),
            (
                *(found[label] for label in differing if label in found and label != _LAST),
                *((Span(f"! {warning}"),) for warning in _warnings_of(question) if warning not in shared),
                *(found[label] for label in differing if label in found and label == _LAST),
            ),
        )
        for (question, choice), found in zip(questions, facts, strict=True)
    )


def shared_warnings(questions: Sequence[OpenQuestion]) -> tuple[str, ...]:
    """The warnings that hold for every question; those of single ones stand behind their names."""
    first, *others = questions
    return tuple(each for each in _warnings_of(first) if all(each in _warnings_of(other) for other in others))


def _facts_of(question: OpenQuestion, choice: Choice) -> dict[str, Row]:
    connection = question.prompt.connection
    lines = (*present_who(connection, choice), *present_where(connection, choice))
    return {line.label: line.spans for line in lines}


def _warnings_of(question: OpenQuestion) -> tuple[str, ...]:
    return present_warnings(question.prompt.connection)


def _name_of(question: OpenQuestion, choice: Choice) -> Row:
    """The name, of which the answer covers all, the domain, or nothing."""
    spans = present_remote(question.prompt.connection)
    if choice.remote is RemoteScope.ANY:
        return spans
    is_domain = choice.remote is RemoteScope.DOMAIN
    return tuple(
        msgspec.structs.replace(span, is_covered=not (is_domain and span.weight is Weight.QUIET)) for span in spans
    )


def lay_out(members: Sequence[Member], columns: int) -> dict[int, tuple[Row, ...]]:
    """The rows of each question, none wider than the columns. Where there is room, what differs stands in the row of
    the name, in one column."""
    start = max((cell_width(text_of(member.name)) for member in members), default=0) + GAP
    whole = {member.prompt_id: _in_one_row(member, start) for member in members}
    if all(cell_width(text_of(row)) <= columns for row in whole.values()):
        return {prompt_id: (row,) for prompt_id, row in whole.items()}
    return {member.prompt_id: tuple(_rows_of(member, columns)) for member in members}


def _in_one_row(member: Member, start: int) -> Row:
    space = start - cell_width(text_of(member.name))
    spans = list(member.name)
    for row in member.details:
        spans += [Span(" " * space), *row]
        space = GAP
    return tuple(spans)


def _rows_of(member: Member, columns: int) -> Iterator[Row]:
    yield from _wrap(member.name, columns)
    width = max(1, columns - INDENT)
    for row in member.details:
        text = text_of(row)
        shown = shorten_middle(text, width * MAX_ARGS_ROWS)
        whole = row if shown == text else (msgspec.structs.replace(row[0], text=shown),)
        yield from (_indented(one) for one in _break(whole, width))


def _wrap(spans: Row, columns: int) -> Iterator[Row]:
    """All of the spans in as many rows as that takes."""
    if cell_width(text_of(spans)) <= columns:
        yield spans
        return
    first, *others = _break(spans, max(1, columns - INDENT))
    yield first
    yield from map(_indented, others)


def _indented(row: Row) -> Row:
    return (Span(" " * INDENT), *row)


def _break(spans: Row, width: int) -> list[Row]:
    """The spans in rows, broken where a text is that is no name."""
    ends = list(accumulate(map(len, wrap_columns(text_of(spans), width))))
    return [tuple(_between(spans, start, end)) for start, end in zip([0, *ends], ends, strict=False)]


def _between(spans: Row, start: int, end: int) -> Iterator[Span]:
    at = 0
    for span in spans:
        part = span.text[max(0, start - at) : max(0, end - at)]
        at += len(span.text)
        if part:
            yield msgspec.structs.replace(span, text=part)


def present_group(group: GroupList, members: Sequence[Member]) -> GroupView:
    """The part of the list that is in sight."""
    rows: dict[int, tuple[Row, ...]] = {}
    if group.room:
        rows = lay_out(members, group.columns)
        group = lay_out_list(group, rows, group.columns, group.room)
    return GroupView(
        rows=tuple(_present_row(group, row, rows[row.prompt_id][row.index]) for row in group.in_sight),
        columns=group.columns,
        room=group.room,
        place=_present_place(group),
        unseen_count=len(group.note_painted().unseen),
    )


def lay_out_list(group: GroupList, rows: dict[int, tuple[Row, ...]], columns: int, room: int) -> GroupList:
    return group.lay_out({prompt_id: len(each) for prompt_id, each in rows.items()}, columns, room)


def _present_row(group: GroupList, row: ListRow, spans: Row) -> ShownRow:
    is_left_out = row.prompt_id in group.left_out
    return ShownRow(
        tuple(Span(span.text, weight=Weight.QUIET) for span in spans) if is_left_out else spans,
        row.prompt_id,
        is_first=row.index == 0,
        is_cursor=row.prompt_id == group.cursor,
        is_left_out=is_left_out,
    )


def _present_place(group: GroupList) -> str:
    count = len(group.ids)
    places = [group.ids.index(row.prompt_id) + 1 for row in group.in_sight]
    is_part = not places or len(group.in_sight) < len(group.rows)
    where = f"{places[0]} to {places[-1]} of {count}" if places and is_part else f"all {count} in sight"
    return f"{where}, {len(group.left_out)} left out" if group.left_out else where
