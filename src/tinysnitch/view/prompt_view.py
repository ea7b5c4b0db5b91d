"""All that a prompt shows, as one value that the window, the terminal and the plain prompt render."""

import math
from collections.abc import Iterator

import msgspec

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.domain import find_registrable_domain
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.answer import (
    can_be_remembered,
    ends_with_container,
    holds_secret,
    is_by_address,
    is_by_link,
    is_rule_kept,
    leaves_secret_out,
    parent_of,
    refusal_to_remember,
    rule_for_choice,
)
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.core.rules.secret_args import without_secrets
from tinysnitch.view.answer_notice import name_lifetime
from tinysnitch.view.connection_view import (
    present_past,
    present_program,
    present_sentence,
    present_warnings,
    present_where,
    present_who,
)
from tinysnitch.view.edit_view import EditView, present_edit
from tinysnitch.view.escape import escape_text
from tinysnitch.view.group_list import GroupList
from tinysnitch.view.group_view import GroupView, find_differing, present_group, present_members, shared_warnings
from tinysnitch.view.keys import KEYS, OWN_KEYS, Act, Forever, Group, Key, keys_of, name_of
from tinysnitch.view.lookup import NO_LOOKUP, Lookup
from tinysnitch.view.prompt_list import OpenQuestion
from tinysnitch.view.prompt_state import DENIED, Page, PromptState, next_scope
from tinysnitch.view.recent_view import RecentView, SelectedView, present_recent
from tinysnitch.view.span import Line, Span, Weight, present_line, text_of

SECRET_IN_RULE = "the arguments in the rule hold what looks like a secret"
SECRET_LEFT_OUT = "a secret seems to be in its arguments: the rule is for this start alone"
_WHERE_WRITTEN = {Lifetime.ONCE: "this once, nothing is written", Lifetime.FOREVER: "forever, in the rules file"}
_TOGETHER = next(key for key in KEYS if key.effect is Act.TOGETHER)
_REMOTES = {RemoteScope.NAME: "this name", RemoteScope.DOMAIN: "its domain", RemoteScope.ANY: "any remote"}
_REMOTE = next(key for key in KEYS if key.effect is Act.CYCLE_REMOTE)
_EVERYDAY = (Forever.ALLOW, Act.TOGETHER, Act.NEXT, Act.CYCLE_REMOTE, Act.EDIT)  # besides y and n
_OF_ONE = ("name", "address", "by way of", "asks for", "also named")  # facts that each question has of its own
_ALONE = "one question"
URGENT_S = 10  # seconds left, from which on they stand out


class KeyHint(msgspec.Struct, frozen=True):
    """A key as the footer shows it."""

    label: str
    text: str
    is_on: bool = False  # what it chooses is chosen now
    is_dead: bool = False  # it would change nothing for this question
    verdict: Verdict | None = None  # that it gives

    @property
    def name(self) -> str:
        """The name of the key, by which a click on the hint presses it."""
        return name_of(self.label)


class PromptView(msgspec.Struct, frozen=True, kw_only=True):
    sentence: tuple[Span, ...]  # its title
    is_question: bool
    icon: str = ""  # of the program, in the desktop's theme, or the path of its picture
    why: str = ""  # why it is asked
    who: tuple[Line, ...] = ()  # the facts of the program
    where: tuple[Line, ...] = ()  # the facts of the remote
    past: tuple[Line, ...] = ()  # what the history has of both
    warnings: tuple[str, ...] = ()  # about this question, problems that last, and a mode in which nobody is asked
    countdown: str = ""  # of these the last one, if it tells what is left of a mode, and so changes each second
    rule: tuple[Span, ...] = ()  # the line that `y` writes; `n` writes it with `deny`
    denied: tuple[Span, ...] = ()  # the line that `n` writes, if it differs in more: one of both was learned
    wider: str = ""  # why one of both is for more than this question; "" if none is
    is_rule_kept: bool = True  # False: nothing is written, and `rule` only shows what the answer is for
    together: str = ""  # what y and n answer, if it is more than this question; else ""
    group: GroupView | None = None  # the list of these questions
    edit: EditView | None = None  # the line that is edited, shown instead of `rule`
    lifetime: str = ""  # how long the answer holds
    waiting: str = ""  # how many questions wait
    seconds_left: int = 0
    fraction_left: float = 0.0  # of the question's whole time, 0 to 1
    is_ready: bool = False  # keys count
    hints: tuple[tuple[KeyHint, ...], ...] = ()  # all keys, a row for each group
    recent: RecentView | None = None  # the last decisions, where no question is in sight
    everyday: tuple[tuple[KeyHint, ...], ...] = ()  # the keys of everyday: what allows, what denies, and some others
    notice: str = ""

    @property
    def title(self) -> str:
        return text_of(self.sentence)

    @property
    def rules(self) -> tuple[tuple[Span, ...], ...]:
        """All lines that a key may write."""
        return tuple(filter(None, (self.rule, self.denied)))

    @property
    def lines(self) -> tuple[Line, ...]:
        """All facts."""
        return (*self.who, *self.where, *self.past)

    @property
    def is_alone(self) -> bool:
        """Whether one connection waits for this question, and no other question does."""
        return self.waiting == _ALONE

    @property
    def is_urgent(self) -> bool:
        """Whether the question's time is nearly over."""
        return self.is_question and self.seconds_left <= URGENT_S


def present_prompt(state: PromptState, now: float, lookup: Lookup = NO_LOOKUP) -> PromptView:
    """What to show at this moment, a time on the clock that the state's `handle` is given."""
    question, wall_s = state.selected, now + state.wall_ahead_s
    if question is None:
        if state.page is Page.EDIT:
            return _present_edit_alone(state, now)
        return _present_none(state, now, lookup)
    connection, choice = question.prompt.connection, state.choice_of(question, Verdict.ALLOW)
    view = PromptView(
        sentence=present_sentence(connection),
        is_question=True,
        icon=_find_icon(connection, lookup),
        why=_present_why(question.prompt),
        who=present_who(connection, choice, lookup, is_full=state.page is Page.EDIT),
        where=present_where(connection, choice),
        past=present_past(question.prompt),
        warnings=(*present_warnings(connection), *_find_secrets(state, question), *_present_trouble(state, now)),
        countdown=_present_countdown(state, now),
        rule=present_rule(connection, choice, wall_s),
        denied=_present_denied(state, question, wall_s),
        wider=_present_wider(state, question),
        is_rule_kept=is_rule_kept(connection, choice),
        lifetime=present_lifetime(connection, choice, is_guest=state.is_guest),
        waiting=_count_waiting(state, question),
        seconds_left=_seconds_left(question, now),
        fraction_left=_fraction_left(question, now),
        is_ready=state.guard.is_ready(now),
        hints=_present_hints(state, question),
        notice=_present_notice(state),
    )
    if state.page is Page.EDIT:
        return _with_edit(view, present_edit(state.edit, wall_s, is_guest=state.is_guest))
    if state.group:
        return _with_group(view, state, state.group, now)
    return msgspec.structs.replace(view, everyday=_present_everyday(view, question))


def _present_everyday(view: PromptView, question: OpenQuestion) -> tuple[tuple[KeyHint, ...], ...]:
    """What allows and what denies, in words, and the keys that most questions need. The help has all keys."""
    shown = {hint.label: hint for row in view.hints for hint in row if not hint.is_dead}
    answers = ((key, key.effect) for key in KEYS if isinstance(key.effect, Verdict))
    rest = [shown[key.label] for effect in _EVERYDAY for key in KEYS if key.effect is effect and key.label in shown]
    wider = _present_scope(question.prompt.connection, next_scope(question.choice.remote))
    rest = [
        msgspec.structs.replace(hint, text=wider, is_on=False) if hint.label == _REMOTE.label else hint for hint in rest
    ]
    return (
        *((KeyHint(key.label, f"{key.short} {view.lifetime}", verdict=verdict),) for key, verdict in answers),
        (*rest, KeyHint("?", "all keys")),
    )


def _with_edit(view: PromptView, edit: EditView) -> PromptView:
    hints = (KeyHint("Enter", "answer with it", is_dead=bool(edit.fault)), KeyHint("Esc", "back"))
    return msgspec.structs.replace(view, edit=edit, lifetime=edit.lifetime, hints=(hints,), everyday=(hints,))


def _with_group(view: PromptView, state: PromptState, group: GroupList, now: float) -> PromptView:
    """The view with the list of questions that are answered together. Each gets a rule of its own; the rule in sight is
    that of the one under the cursor, else of the first."""
    members, wall_s = state.members, now + state.wall_ahead_s
    rules = {one.prompt.prompt_id: present_rule(one.prompt.connection, choice, wall_s) for one, choice in members}
    differing = find_differing(members)
    program = present_program(members[0][0].prompt.connection.attribution)
    count, taken = len(members), len(group.taken)
    written = len({rules[prompt_id] for prompt_id in group.taken})
    with_rules = f", with {_plural(written, 'rule')}" if view.is_rule_kept else ""
    later = state.questions.waiting_count - count
    return msgspec.structs.replace(
        view,
        sentence=(Span(f"{count} questions of "), Span(program, weight=Weight.STRONG)),
        who=tuple(line for line in view.who if line.label not in differing),
        where=tuple(line for line in view.where if line.label not in (*differing, *_OF_ONE)),
        past=(),
        warnings=(
            *shared_warnings([one for one, _choice in members]),
            *_find_secrets(state, members[0][0]),
            *_present_trouble(state, now),
        ),
        rule=rules[group.ids[0] if group.cursor is None else group.cursor],
        together=f"{'the' if taken == count else f'{taken} of the'} {count} questions of {program}{with_rules}",
        group=present_group(group, present_members(members)),
        waiting=f"{later} more {'waits' if later == 1 else 'wait'}" if later else "",
        seconds_left=min(_seconds_left(one, now) for one, _choice in members),
        fraction_left=min(_fraction_left(one, now) for one, _choice in members),
        everyday=_present_list_keys(view, group),
    )


def _present_list_keys(view: PromptView, group: GroupList) -> tuple[tuple[KeyHint, ...], ...]:
    taken, is_on_one = len(group.taken), group.cursor is not None
    holds = f"{'these' if taken < len(group.ids) else 'all'} {taken}, {view.lifetime}"
    first = "next page, then " if group.note_painted().unseen else ""
    allow = KeyHint("y", f"{first}allow {holds}", verdict=Verdict.ALLOW)
    deny = KeyHint("n", f"deny {f'this one, {view.lifetime}' if is_on_one else holds}", verdict=Verdict.DENY)
    leave_out = KeyHint("Space", "take back" if group.cursor in group.left_out else "leave out", is_dead=not is_on_one)
    page = KeyHint("PgDn", "page on", is_dead=group.room >= len(group.rows))
    rest = (KeyHint("↓", "one by one"), leave_out, page, KeyHint("g", "only one"), KeyHint("?", "all keys"))
    return (allow,), (deny,), rest


def _present_edit_alone(state: PromptState, now: float) -> PromptView:
    """A line that is edited without its question in sight: that of a decision, or of a question that is gone."""
    title = "a rule for what was decided" if state.is_edit_of_past else "the question whose rule you edited is gone"
    others = "; others wait" if state.questions.waiting_count else ""  # their time goes on
    edit = present_edit(state.edit, now + state.wall_ahead_s)
    keys = ((KeyHint("Enter", "add the rule", is_dead=bool(edit.fault)), KeyHint("Esc", "go on without it")),)
    return PromptView(
        sentence=(Span(f"{title}{others}"),),
        is_question=False,
        edit=edit,
        hints=keys,
        everyday=keys,
        warnings=_present_trouble(state, now),
        countdown=_present_countdown(state, now),
        notice=_present_notice(state),
    )


def _present_none(state: PromptState, now: float, lookup: Lookup) -> PromptView:
    aside = state.questions.waiting_count  # with none in sight, all that wait were put aside
    if not state.is_connected:
        title = "waiting for the daemon"
    elif state.questions.is_answering:  # the daemon has not taken it yet, perhaps since its disk is slow
        title = "the answer is on its way"
    elif aside:
        title = f"{_plural(aside, 'question')} put aside, Tab shows {'it' if aside == 1 else 'them'}"
    else:
        title = "no questions"
    shown = (Act.NEXT, Act.HELP, Act.LEGEND, Act.LEAVE) if aside else (Act.HELP, Act.LEGEND, Act.LEAVE)
    keys = (*keys_of(Group.ANSWER), *keys_of(Group.MOVE))
    hints = tuple(KeyHint(key.label, key.short) for key in keys if key.effect in (Act.UNDO, *shown))
    recent = present_recent(state.recent, lookup)
    return PromptView(
        sentence=(Span(title),),
        is_question=False,
        warnings=_present_trouble(state, now),
        countdown=_present_countdown(state, now),
        recent=recent,
        is_ready=state.guard.is_ready(now),
        hints=(hints,),
        everyday=_keys_for_past(recent, hints),
        notice=_present_notice(state),
    )


def _keys_for_past(recent: RecentView, hints: tuple[KeyHint, ...]) -> tuple[tuple[KeyHint, ...], ...]:
    """The keys where no question is in sight: those for the decision that is selected, or how to select one."""
    selected = recent.selected
    if selected is None:
        return ((*hints, KeyHint("↓", "a rule for one of these")) if recent.rows else hints,)
    answers = tuple((_hint_for_past(key, key.effect, selected),) for key in KEYS if isinstance(key.effect, Verdict))
    back = KeyHint("x", "take its rule back", is_dead=not selected.decided_by)
    return (*answers, (back, KeyHint("e", "edit"), KeyHint("Esc", "back"), KeyHint("?", "all keys")))


def _hint_for_past(key: Key, verdict: Verdict, selected: SelectedView) -> KeyHint:
    hindrance = selected.hindrances[verdict]
    text = f"{key.short}: {hindrance}" if hindrance else f"{key.short} forever, in the rules file"
    return KeyHint(key.label, text, verdict=verdict, is_dead=bool(hindrance))


def _present_trouble(state: PromptState, now: float) -> tuple[str, ...]:
    """What lasts: a problem, and that nobody is asked."""
    return tuple(filter(None, (escape_text(state.trouble), state.tell_mode(now))))


def _present_countdown(state: PromptState, now: float) -> str:
    return "" if state.mode_ends_s is None else state.tell_mode(now)


def _present_notice(state: PromptState) -> str:
    """The news; "" if it is of what lasts, which is shown as a warning already."""
    if state.notice in (state.trouble, state.mode_news):
        return ""
    notice = escape_text(state.notice)
    count = state.unanswered_count if state.is_unanswered_told else 1
    # The count stands before the last question, whose end is cut off where there is little room.
    return notice if count == 1 else notice.replace(f"{DENIED}: ", f", {count} denied, the last: ", 1)


def _find_icon(connection: Connection, lookup: Lookup) -> str:
    process = connection.attribution.process
    entry = lookup.find_entry(process) if process else None
    return entry.icon if entry else ""


def _present_why(prompt: Prompt) -> str:
    reason = f"of the rule {format_rule(without_secrets(prompt.rule))}" if prompt.rule else prompt.reason
    return escape_text(f"asked because {reason}")


def _find_secrets(state: PromptState, question: OpenQuestion) -> Iterator[str]:
    """What is to be known of secrets in the rules that y and n write now. Beside an edited line its hint tells."""
    if state.page is Page.EDIT:
        return
    choices = state.members or ((question, question.choice),)
    rules = [(one.prompt.connection, choice) for one, choice in choices if is_rule_kept(one.prompt.connection, choice)]
    if any(holds_secret(*rule) for rule in rules):
        yield SECRET_IN_RULE
    elif any(leaves_secret_out(*rule) for rule in rules):
        yield SECRET_LEFT_OUT


def _present_denied(state: PromptState, question: OpenQuestion, wall_s: float) -> tuple[Span, ...]:
    """The line that `n` writes, if it is not that of `y` with another verdict."""
    allowed, denied = (state.choice_of(question, verdict) for verdict in (Verdict.ALLOW, Verdict.DENY))
    is_same = allowed == msgspec.structs.replace(denied, verdict=Verdict.ALLOW)
    return () if is_same else present_rule(question.prompt.connection, denied, wall_s)


def _present_wider(state: PromptState, question: OpenQuestion) -> str:
    is_shown = question.is_widened and not state.group
    return f"{escape_text(question.prompt.widened)} (w: only this)" if is_shown else ""


def present_rule(connection: Connection, choice: Choice, wall_s: float) -> tuple[Span, ...]:
    """The line of the rule, but how long it holds is in words behind it; columns that name something are covered."""
    spans = present_line(msgspec.structs.replace(rule_for_choice(connection, choice, wall_s), until_s=None))
    if choice.lifetime is Lifetime.FOREVER and can_be_remembered(connection):
        return spans
    return (*spans, Span(f", {name_lifetime(connection, choice)}", weight=Weight.QUIET))


def present_lifetime(connection: Connection, choice: Choice, *, is_guest: bool = False) -> str:
    """How long the answer holds, in words."""
    if refusal_to_remember(connection):
        return "this once, whatever you choose"
    if choice.lifetime is Lifetime.FOREVER and ends_with_container(connection):
        return "in the rules file, for this container alone: the next has another id"
    return _WHERE_WRITTEN.get(choice.lifetime) or name_lifetime(connection, choice, is_guest=is_guest)


def _count_waiting(state: PromptState, question: OpenQuestion) -> str:
    """`question 2 of 12`, how many of these are of this program, and how many connections wait for the answer."""
    count = question.prompt.count
    total = state.questions.waiting_count
    held = f", {count} connections{' in this one' if total > 1 else ''}" if count > 1 else ""
    alike = len(state.of_program) + 1
    of_program = f", {alike} of {present_program(question.prompt.connection.attribution)}" if 1 < alike < total else ""
    return (f"question {state.position} of {total}{of_program}" if total > 1 else _ALONE) + held


def _seconds_left(question: OpenQuestion, now: float) -> int:
    return max(0, math.ceil(question.deadline_s - now))


def _fraction_left(question: OpenQuestion, now: float) -> float:
    left = max(0.0, question.deadline_s - now)
    age = max(0.0, now - question.opened_s)
    return left / (left + age) if left else 0.0


def _present_hints(state: PromptState, question: OpenQuestion) -> tuple[tuple[KeyHint, ...], ...]:
    keys, dead = OWN_KEYS if state.is_guest else KEYS, set(_find_dead(state, question))
    connection = question.prompt.connection
    hints = {key: _present_hint(key, question, connection) for key in keys if key.effect not in dead}
    hints |= {key: KeyHint(key.label, key.short, is_dead=True) for key in keys if key.effect in dead}
    count = len(state.group.ids) if state.group else len(state.of_program) + 1  # those that came after `g` do not count
    if count > 1:
        hints[_TOGETHER] = KeyHint(_TOGETHER.label, f"all {count} together", bool(state.group))
    return tuple(tuple(hints[key] for key in keys_of(group) if key in hints) for group in Group)


def _find_dead(state: PromptState, question: OpenQuestion) -> Iterator[Act]:
    """The keys that would change nothing for this question."""
    connection = question.prompt.connection
    process = connection.attribution.process
    if not state.of_program:
        yield Act.TOGETHER
    if state.questions.waiting_count == 1:
        yield from (Act.NEXT, Act.PREVIOUS)
    if not connection.flow.port:
        yield Act.TOGGLE_PORT
    if process is None or not process.are_args_complete:
        yield from (Act.THESE_ARGS, Act.ANY_ARGS)
    if question.prompt.alone is None or state.group:
        yield Act.SWITCH_LEARNED


def _present_scope(connection: Connection, scope: RemoteScope) -> str:
    if is_by_link(connection, scope):
        return "all of the lan"
    if scope is RemoteScope.DOMAIN and not (connection.name and find_registrable_domain(connection.name)):
        # Without the words in parentheses the key would seem to do nothing.
        return f"{_present_scope(connection, RemoteScope.NAME)} (no domain)"
    return "this address" if is_by_address(connection, scope) else _REMOTES[scope]


def _present_hint(key: Key, question: OpenQuestion, connection: Connection) -> KeyHint:
    """A key as the footer shows it: with what is chosen now, not with what the key would change it to."""
    choice, text, is_on = question.choice, key.short, False
    if isinstance(key.effect, Lifetime):
        is_on = key.effect is choice.lifetime
    elif key.effect is Act.CYCLE_REMOTE:
        text, is_on = _present_scope(connection, choice.remote), choice.remote is not RemoteScope.ANY
    elif key.effect is Act.SWITCH_LEARNED:
        is_on = choice.remote is (question.prompt.alone or choice).remote
    elif key.effect is Act.TOGGLE_PORT:
        text, is_on = ("any port", False) if choice.any_port else ("this port", True)
    elif key.effect in (Act.THESE_ARGS, Act.ANY_ARGS):
        is_on = choice.any_args is (key.effect is Act.ANY_ARGS)
        if is_on and choice.any_args and parent_of(connection, choice):
            text = "any args"  # "just the path" would be wrong: the rule names the parent, too
    return KeyHint(key.label, text, is_on)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
