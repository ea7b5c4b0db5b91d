"""The state of one prompt: takes events and the time, returns what the front end must do.

1. The guard says when a key counts (key_guard.py). A question counts as new when one walks to it, and so does the one
   in sight when the help is closed or the screen comes back from Ctrl-Z.
2. A choice belongs to its question, and is gone with it: a choice, or a key, is never for the question that follows.
   But how long an answer holds is asked for once: questions go on with the lifetime that was chosen last.
3. `g` lists the program's questions that wait at that moment (group_list.py), and they count as new, as does a row that
   comes into sight. They have one choice, that of the question that was in sight. If that one goes, its choice stays.
4. If a question vanishes while its rule is edited, the editor stays open: what is being typed there must not become
   keys for the next question. Enter adds the rule, Esc goes back.
5. An answer is sent once. The question is gone when the daemon closes it. It is back when the daemon refuses the
   answer, or shows it again (after a `once`, further connections of it may still wait).
6. A proposal may change while its question waits, as others are answered (core/prompts/learned_proposal.py). In sight
   it then counts as new. Where the person chose something already, or edits the rule, it stays as it was.

Times are seconds on one clock that does not step back.
"""

from enum import Enum
from typing import assert_never

import msgspec

from tinysnitch.core.model.asking_mode import ASKING
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import NO_ANSWER
from tinysnitch.core.prompts.answer import bounded
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.protocol.messages import PromptSettings
from tinysnitch.view.answer_notice import ANSWERED, ASKING_AGAIN, tell_mode
from tinysnitch.view.connection_view import present_title
from tinysnitch.view.group_list import GroupList
from tinysnitch.view.group_view import lay_out, lay_out_list, order_questions, present_members
from tinysnitch.view.key_guard import DELAY_S, KeyGuard
from tinysnitch.view.keys import (
    KEYS,
    Act,
    Forever,
    ListAct,
    find_key,
    find_list_act,
    hint_at,
    is_answer,
    is_hint,
    is_of_text,
    suggests_caps_lock,
    without_caps_lock,
)
from tinysnitch.view.line_edit import LineEdit, begin_edit, find_fault
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    DecisionsTold,
    Effect,
    Event,
    KeepQuestions,
    KeyPressed,
    Leave,
    LineChanged,
    ListSized,
    ModeTold,
    NoticeGiven,
    QuestionClosed,
    QuestionOpened,
    RowPointed,
    RuleChange,
    ScreenRegained,
    SettingsGiven,
    TextPasted,
    UndoLast,
)
from tinysnitch.view.prompt_list import OpenQuestion, Questions
from tinysnitch.view.recent_decisions import RecentDecisions

DENIED = ", denied"  # follows the reason of a question whose time ended
SCROLL_FIRST = "scroll to the end first, or press y for the next page"
PICK_FIRST = "move to one first, with the arrow keys"
ALL_LEFT_OUT = "all of them are left out"
KEEP_S = 1.0  # between two times that the daemon is told that the person is at a question
NEWS_S = 5.0  # without a question in sight, after which the news of an answer is cleared by the next question


class Page(Enum):
    QUESTION = "question"
    HELP = "help"
    LIST_HELP = "list help"
    LEGEND = "legend"
    EDIT = "edit"  # the rule of the question in sight


_EDIT_KEY = next(key.names[0] for key in KEYS if key.effect is Act.EDIT)
_LEAVE_AT_ONCE = "ctrl+c"  # `q` goes back from the help, and may be a letter of a text
TAKE_BACK = ("x", "delete")  # names of the key that takes back the rule of a decision
_SCOPES = tuple(RemoteScope)  # each wider than the one before
_SUSPEND_S = 1.0  # clocks that differ by less were only read one after the other; by more, the machine was suspended


def next_scope(scope: RemoteScope) -> RemoteScope:
    """The scope that the key of the remote changes this one to."""
    return _SCOPES[(_SCOPES.index(scope) + 1) % len(_SCOPES)]


class PromptState:
    def __init__(self, delay_s: float | None = None, *, is_guest: bool = False) -> None:
        """`delay_s`: set by the person, and goes before what the daemon's settings say."""
        self._own_delay_s = delay_s
        self.guard = KeyGuard(DELAY_S if delay_s is None else delay_s)
        self.settings = PromptSettings()  # of the daemon
        self.is_guest = is_guest  # it asks for one command only, and cannot be left while that runs
        self.questions = Questions()
        self.recent = RecentDecisions()
        self.page = Page.QUESTION
        self.edit = LineEdit("", 0)  # the line of Page.EDIT
        self.notice = ""  # what became of the last question, or what went wrong
        self.unanswered_count = 0  # of questions in a row whose time ended; `notice` tells of the last one
        self.trouble = ""  # a problem that lasts until the daemon says that it is over
        self.mode = ASKING  # how the daemon decides what no rule covers
        self.mode_ends_s: float | None = None  # when people are asked again; None: no end
        self.mode_news = ""  # what was told when the mode began
        self.is_connected = False
        self.wall_ahead_s = 0.0  # wall clock minus the clock of `handle`, as noted last: the wall clock may be set
        self._boot_ahead_s: float | None = None  # boot-time clock minus the clock of `handle`: grows in a suspend
        self._is_for_user = False  # our answers are rules for our own user alone
        self._lifetime: Lifetime | None = None  # chosen last
        self._selected_id: int | None = None
        self._kept: tuple[int, ...] = ()  # the questions of which that was told last
        self._kept_s = 0.0  # when
        self._selected_s = 0.0  # when the selected question came into sight, or the last one went
        self.group: GroupList | None = None  # the questions that are answered together
        self._list_size = ListSized(0, 0)
        self._sent_together: frozenset[int] = frozenset()  # the other questions that our last answer was for
        self._is_edit_of_past = False  # the line of Page.EDIT is for a decision, and no answer
        self._is_caps_lock = False  # it seems to be on
        self._ended: dict[int, str] = {}  # what is told of the last question that ended before our answer came

    def begin_anew(self) -> "PromptState":
        """A new state without questions, for the same person at the same daemon."""
        state = PromptState(self._own_delay_s)
        state._take_settings(self.settings)
        state._lifetime = self._lifetime
        state._is_caps_lock = self._is_caps_lock
        state.is_connected, state.trouble = self.is_connected, self.trouble
        state.mode, state.mode_ends_s, state.mode_news = self.mode, self.mode_ends_s, self.mode_news
        state._is_for_user = self._is_for_user
        state._list_size = self._list_size
        return state

    @property
    def selected(self) -> OpenQuestion | None:
        """The question in sight."""
        return self.questions.get(self._selected_id) if self._selected_id is not None else None

    @property
    def position(self) -> int:
        """The place of the question in sight among those that wait, from 1; 0 if there is none."""
        ring = self.questions.ring()
        return ring.index(self._selected_id) + 1 if self._selected_id in ring else 0

    @property
    def members(self) -> tuple[tuple[OpenQuestion, Choice], ...]:
        """The listed questions, each with the choice by which it is answered."""
        leader = self.selected
        if self.group is None or leader is None:
            return ()
        return tuple((one, one.follow(leader)) for one in map(self.questions.__getitem__, self.group.ids))

    def choice_of(self, question: OpenQuestion, verdict: Verdict) -> Choice:
        """What a key answers to this question, which is in sight or answered together with that."""
        if self.group and self.selected:
            return msgspec.structs.replace(question.follow(self.selected), verdict=verdict)
        return question.choice_for(verdict)

    @property
    def of_program(self) -> tuple[OpenQuestion, ...]:
        """The other questions that wait for the program of the one in sight."""
        return self.questions.find_alike(self.selected) if self.selected else ()

    @property
    def is_unanswered_told(self) -> bool:
        """Whether `notice` tells of a question whose time ended."""
        return self.notice.startswith(NO_ANSWER)

    def next_change_s(self) -> float | None:
        """When the question in sight begins to take keys; None until it is painted, or if none is in sight."""
        return self.guard.ready_s if self.takes_answers else None

    @property
    def takes_answers(self) -> bool:
        """Whether `y` and `n` mean something: for the question in sight, or the decision that is selected."""
        return self.selected is not None or (self.recent.selected is not None and self.page is Page.QUESTION)

    def note_clocks(self, now: float, *, wall_s: float, boot_s: float) -> None:
        """Note what the wall clock and the boot-time clock say when the clock of `handle` says `now`. To be called
        before `handle`, and before anything is shown. That clock may stand still while the machine is suspended; the
        boot-time clock does not, and by it the time of the questions goes on."""
        self.wall_ahead_s, ahead_s = wall_s - now, boot_s - now
        if self._boot_ahead_s is None:
            self._boot_ahead_s = ahead_s
        slept_s = ahead_s - self._boot_ahead_s
        if slept_s < _SUSPEND_S:
            return
        self._boot_ahead_s = ahead_s
        if self.mode_ends_s is not None:
            self.mode_ends_s -= slept_s
        for number, each in tuple(self.questions.items()):
            self.questions.change(number, deadline_s=each.deadline_s - slept_s, opened_s=each.opened_s - slept_s)

    def handle(self, event: Event, now: float) -> Effect | None:
        """Take an event, and return what the front end must do besides showing the state again."""
        match event:
            case KeyPressed():
                return self._press(event, now)
            case TextPasted(text):
                if self._takes_text(now):
                    self._change_line(self.edit.paste(text), now)
                    return self._keep(now)
            case LineChanged(text, cursor):
                if self._takes_text(now):
                    self._change_line(self.edit.rewrite(text, cursor), now)
                    return self._keep(now)
            case QuestionOpened(prompt):
                self._open(prompt, now)
            case QuestionClosed(prompt_id, reason):
                self._close(prompt_id, reason, now)
            case AnswerRefused(prompt_id, reason):
                self._refuse(prompt_id, reason, now)
            case ConnectionLost(reason, is_gone):
                self._lose_daemon(f"{reason}; new connections may be dropped until it is back" if is_gone else reason)
            case DaemonGreeted(is_for_user, settings):
                self.is_connected, self.notice = True, ""
                self._is_for_user = self.recent.is_for_user = is_for_user
                self._take_settings(settings)
            case SettingsGiven(settings):
                self._take_settings(settings)
            case NoticeGiven(text, stands):
                self.notice = text
                if stands is not None:
                    self.trouble = text if stands else ""
            case ModeTold():
                self._take_mode(event, now)
            case ScreenRegained() if self.group:
                self.guard.renew(now)
            case DecisionsTold(lines, is_anew):
                self.recent.add(lines, is_anew=is_anew)
            case ScreenRegained():
                self._select(self._selected_id, now)
            case ListSized():
                self._list_size = event
                if self.group:
                    self._show_list(self._list_as_seen(self.group), now)
            case RowPointed(prompt_id):
                if self.group and prompt_id in self.group.ids and self._find_ready(now):
                    self._show_list(self._list_as_seen(self.group).point(prompt_id), now)
            case _:
                assert_never(event)
        return None

    def _take_settings(self, settings: PromptSettings) -> None:
        self.settings = settings
        if self._own_delay_s is None:
            self.guard.delay_s = DELAY_S if settings.delay is None else settings.delay

    def _take_mode(self, told: ModeTold, now: float) -> None:
        self.mode = told.mode
        self.mode_ends_s = None if told.left_s is None else now + told.left_s
        self.mode_news = self.tell_mode(now)
        self.notice = self.mode_news or ASKING_AGAIN

    def tell_mode(self, now: float) -> str:
        """That nobody is asked, and how long still; "" while people are asked."""
        left_s = None if self.mode_ends_s is None else max(0.0, self.mode_ends_s - now)
        return tell_mode(self.mode.verdict, left_s, is_observing=self.mode.is_observing)

    @property
    def is_counting_down(self) -> bool:
        """Whether what is shown changes with the time."""
        return self.selected is not None or self.mode_ends_s is not None

    def _open(self, prompt: Prompt, now: float) -> None:
        prompt = self._as_ours(prompt)
        known = self.questions.get(prompt.prompt_id)
        deadline_s = now + prompt.remaining_s
        if known and known.prompt.connection == prompt.connection and not known.is_sent:
            self.questions.change(prompt.prompt_id, deadline_s=deadline_s)
            self._update(known, prompt, now)
            return
        opened_s = now - prompt.age_s
        first = prompt.proposal
        self.questions.put(OpenQuestion(prompt, deadline_s, opened_s, first, first))
        if known:
            self._unlist(known, now)
        is_free = self.selected is None and self.page is not Page.EDIT
        if is_free and self.notice.startswith(ANSWERED) and now - self._selected_s > NEWS_S:
            self.notice = ""
        if is_free or prompt.prompt_id == self._selected_id:
            self._select(prompt.prompt_id, now)

    def _as_ours(self, prompt: Prompt) -> Prompt:
        """The prompt with proposals for our own user, if our answers are for that alone, and with the lifetime that was
        chosen last here, or that the settings say."""
        lifetime = self._lifetime or self.settings.lifetime or prompt.proposal.lifetime

        def ours(proposal: Choice) -> Choice:
            own = msgspec.structs.replace(proposal, is_for_user=self._is_for_user)
            return _with_lifetime(prompt, own, lifetime)

        return msgspec.structs.replace(
            prompt, proposal=ours(prompt.proposal), alone=ours(prompt.alone) if prompt.alone else None
        )

    def _update(self, known: OpenQuestion, prompt: Prompt, now: float) -> None:
        """Take the new count of a question, what was found of its past, and its new proposal (6)."""
        is_same = (prompt.proposal, prompt.alone) == (known.prompt.proposal, known.prompt.alone)
        if is_same or known.choice != known.first or self.page is Page.EDIT:
            told = msgspec.structs.replace(known.prompt, count=prompt.count, past=prompt.past)
            self.questions.change(prompt.prompt_id, prompt=told)
            return
        self.questions.change(prompt.prompt_id, prompt=prompt, choice=prompt.proposal, first=prompt.proposal)
        if prompt.prompt_id in (self._selected_id, *(self.group.ids if self.group else ())):
            self.guard.renew(now)

    def _close(self, prompt_id: int, reason: str, now: float) -> None:
        question = self.questions.pop(prompt_id)
        if question is None:
            return
        verdict = DENIED if reason.startswith(NO_ANSWER) else ""
        told = f"{reason}{verdict}: {present_title(question.prompt.connection)}"
        if question.is_sent:  # the reply to our own answer will tell more
            self._ended = {prompt_id: told}
        else:
            self.unanswered_count = self.unanswered_count + 1 if self.is_unanswered_told else 1
            self.notice = told
        if self._unlist(question, now):
            return
        if prompt_id == self._selected_id:
            self._select(None if self.page is Page.EDIT else self.questions.find_first_waiting(), now)

    def _refuse(self, prompt_id: int, reason: str, now: float) -> None:
        question = self.questions.get(prompt_id)
        if question is None and prompt_id in self._sent_together:
            return  # the rule of another answer that was sent with it has answered it, too
        late = self._ended.get(prompt_id)
        self.notice = f"your answer came too late, {late}" if late else reason
        if question:
            self.questions.change(prompt_id, is_sent=False)
            if self.page is not Page.EDIT and not self.group:
                self._select(prompt_id, now)

    def _lose_daemon(self, reason: str) -> None:
        self.is_connected, self.notice = False, reason
        self.trouble = self.mode_news = ""
        self.mode, self.mode_ends_s = ASKING, None
        self.page = Page.EDIT if self.page is Page.EDIT else Page.QUESTION
        self.questions.clear()
        self._selected_id = self.group = None
        self.recent.leave()

    def _select(self, prompt_id: int | None, now: float) -> None:
        """Bring a question into sight, or none. A question takes over the screen, whatever was done there."""
        if prompt_id is not None:
            self.recent.leave()
        self._selected_id, self._selected_s = prompt_id, now
        self.group = None
        self.guard.renew(now)

    def _press(self, pressed: KeyPressed, now: float) -> Effect | None:
        """A key that counts, and answers nothing, shows that the person is at the question."""
        pressed = self._as_meant(pressed)
        counts = self.guard.is_seen(now) and not self.guard.is_deaf(now, is_click=pressed.is_click)
        effect = self._take_key(pressed, now)
        is_ours = self.page is Page.EDIT or find_key(pressed.name) or find_list_act(pressed.name)
        return self._keep(now) if effect is None and is_ours and counts else effect

    def _as_meant(self, pressed: KeyPressed) -> KeyPressed:
        """A terminal sends `Y` for Shift with y, and for y with Caps Lock on. Another capital letter before it, which
        is no key, tells that it is Caps Lock: then `Y` and `N` are `y` and `n`, until a small letter comes."""
        if pressed.is_click or self.page is Page.EDIT:
            return pressed
        self._is_caps_lock = suggests_caps_lock(pressed.name, self._is_caps_lock)
        is_caps_lock = self._is_caps_lock
        return msgspec.structs.replace(pressed, name=without_caps_lock(pressed.name)) if is_caps_lock else pressed

    def _take_key(self, pressed: KeyPressed, now: float) -> Effect | None:
        if self.guard.is_deaf(now, is_click=pressed.is_click):
            is_text = is_of_text(pressed.name, pressed.text)
            self.guard.note_typing(now, is_text=is_text, is_answer=is_answer(pressed.name))
            return None
        if self.page is Page.EDIT:
            return self._press_in_edit(pressed.name, pressed.text, now)
        if pressed.is_click and self.page is not Page.QUESTION and not is_answer(pressed.name):
            self.page = Page.QUESTION  # a key that the help shows was clicked: it does what it does for the question
            effect = self._press_key(pressed.name, pressed.text, now)
            self.guard.renew(now)
            return effect
        return self._press_key(pressed.name, pressed.text, now)

    def _press_key(self, name: str, text: str, now: float) -> Effect | None:
        key = find_key(name)
        if key and key.effect is Act.LEAVE and not self.is_guest:
            is_letter = self.page is not Page.QUESTION or self.guard.is_text(now)
            if name == _LEAVE_AT_ONCE or not is_letter:
                return Leave()
        if self.page is not Page.QUESTION:  # any other key closes the help and does nothing else
            self.page = Page.QUESTION
            self.guard.renew(now)
            return None
        if self.group and (in_list := find_list_act(name)):
            self._act_in_list(in_list, self.group, now)
            return None
        is_in_past = self.selected is None and self.recent.selected is not None
        is_text = is_of_text(name, text) and not (is_in_past and name in TAKE_BACK)
        if is_text or not self.guard.is_seen(now):
            self.guard.note_typing(now, is_text=is_text)
        self.notice = hint_at(name, text) or ("" if key and is_hint(self.notice) else self.notice)
        if self.selected is None and self._move_in_past(name, now):
            return None
        if key and key.effect is Act.UNDO:
            return self._undo(name, now)
        if self.selected is None and self.recent.selected:
            return self._act_on_past(name, now)
        if key is None:
            return None
        if isinstance(key.effect, Verdict):
            return self._answer(name, key.effect, now)
        if isinstance(key.effect, Forever):
            return self._answer(name, key.effect.verdict, now, Lifetime.FOREVER)
        if isinstance(key.effect, Lifetime):
            self._choose_lifetime(key.effect, now)
        else:
            self._act(key.effect, now)
        return None

    def _answer(self, name: str, verdict: Verdict, now: float, lifetime: Lifetime | None = None) -> Effect | None:
        """`lifetime`: of this answer, whatever was chosen."""
        question = self._find_ready(now)
        if self.guard.is_held(name, now) or question is None:
            return None
        self.guard.note_used(name, now)
        if self.group:
            return self._answer_list(verdict, self.group, now, lifetime)
        return self._send((self._give(question, verdict, lifetime),), now)

    def _undo(self, name: str, now: float) -> Effect | None:
        """The key means the same on each screen. Where it would answer nothing else it need not have been seen."""
        is_ready = self.guard.is_seen(now) if self.takes_answers else not self.guard.is_text(now)
        if not is_ready or self.guard.is_held(name, now):
            return None
        self.guard.note_used(name, now)
        self.notice = ""
        return UndoLast()

    def _give(self, question: OpenQuestion, verdict: Verdict, lifetime: Lifetime | None) -> Answer:
        choice = self.choice_of(question, verdict)
        if lifetime:
            choice = _with_lifetime(question.prompt, choice, lifetime)
        return question.answer(choice, is_guest=self.is_guest)

    def _send(self, answers: tuple[Answer, ...], now: float, *, stays: bool = False) -> Answers:
        """Note that answers are on their way, and bring the next question into sight; `stays`: the list stays there."""
        for answer in answers:
            self.questions.change(answer.prompt_id, is_sent=True, draft=answer.rule or "")
        self._sent_together = frozenset(answer.prompt_id for answer in answers[1:])
        self.notice = ""
        if not (stays and self._unlist(self.questions[answers[0].prompt_id], now)):
            self._select(self.questions.find_first_waiting(), now)
        return Answers(answers)

    def _choose(self, now: float, **changes: object) -> None:
        question = self._find_ready(now)
        if question is None:
            return
        choice = msgspec.structs.replace(question.choice, **changes)
        self.questions.change(question.prompt.prompt_id, choice=choice, draft="")
        if self.group:
            self._show_list(self._list_as_seen(self.group), now)

    def _choose_lifetime(self, lifetime: Lifetime, now: float) -> None:
        """Choose for the question in sight, for those to come, and for those for which none was chosen."""
        question = self._find_ready(now)
        if question is None:
            return
        self._lifetime = lifetime
        self._choose(now, lifetime=lifetime)
        for number, each in tuple(self.questions.items()):
            if each.choice.lifetime is each.first.lifetime:
                first, choice = (_with_lifetime(each.prompt, one, lifetime) for one in (each.first, each.choice))
                self.questions.change(number, prompt=self._as_ours(each.prompt), first=first, choice=choice)

    def _act(self, act: Act, now: float) -> None:
        match act:
            case Act.CYCLE_REMOTE | Act.TOGGLE_PORT | Act.THESE_ARGS | Act.ANY_ARGS | Act.SWITCH_LEARNED:
                self._cover(act, now)
            case Act.TOGETHER:
                self._switch_list(now)
            case Act.EDIT:
                self._begin_edit(now)
            case Act.NEXT:
                self._walk(1, now)
            case Act.PREVIOUS:
                self._walk(-1, now)
            case Act.LATER if self.group:
                self._switch_list(now)
            case Act.LATER:
                self._put_aside(now)
            case Act.HELP | Act.LEGEND:
                self.group = self._list_as_seen(self.group) if self.group else None
                help_page = Page.LIST_HELP if self.group else Page.HELP
                self.page = Page.LEGEND if act is Act.LEGEND else help_page
            case Act.LEAVE | Act.UNDO:
                pass  # a guest, or a letter of a text; else `_press_key` returned what to do
            case _:
                assert_never(act)

    def _cover(self, act: Act, now: float) -> None:
        if self.selected is None:
            return
        choice = self.selected.choice
        if act is Act.CYCLE_REMOTE:
            self._choose(now, remote=next_scope(choice.remote))
        elif act is Act.TOGGLE_PORT:
            self._choose(now, any_port=not choice.any_port)
        elif act is Act.SWITCH_LEARNED:
            other = self.selected.switch()
            self._choose(now, remote=other.remote, is_for_user=other.is_for_user)
        else:
            self._choose(now, any_args=act is Act.ANY_ARGS)

    def _walk(self, step: int, now: float) -> None:
        """Bring the next question of the ring into sight; `step` is -1 for the one before."""
        ring = self.questions.ring()
        if not ring or ring == [self._selected_id]:
            return
        at = ring.index(self._selected_id) + step if self._selected_id in ring else 0
        self._select(ring[at % len(ring)], now)

    def _put_aside(self, now: float) -> None:
        question = self._find_ready(now)
        if question is None:
            return
        self.questions.change(question.prompt.prompt_id, is_aside=True)
        self._select(self.questions.find_first_waiting(), now)

    def _find_ready(self, now: float) -> OpenQuestion | None:
        """The question in sight, if it takes keys now."""
        return self.selected if self.guard.is_seen(now) else None

    # the list of questions that are answered together

    def _switch_list(self, now: float) -> None:
        """List all questions of this program that wait, or go back to the one."""
        question = self._find_ready(now)
        if question is None or not (self.group or self.of_program):
            return
        self.notice = ""
        ids = order_questions((question, *self.of_program))
        self.group = None if self.group else GroupList(ids)
        self.guard.renew(now)
        if self.group:
            self._show_list(self.group, now)

    def _show_list(self, group: GroupList, now: float) -> None:
        """Show the list as it is now. Rows that come into sight count as new."""
        self.group, size = group, self._list_size
        if size.rows:
            rows = lay_out(present_members(self.members), size.columns)
            self.group = lay_out_list(group, rows, size.columns, size.rows)
        if self.group.has_news:
            self.guard.renew(now)

    def _list_as_seen(self, group: GroupList) -> GroupList:
        """The list, of which the rows in sight are known to have been seen if they were painted, and not the help."""
        return group.note_painted() if self.guard.is_painted and self.page is Page.QUESTION else group

    def _act_in_list(self, act: ListAct, group: GroupList, now: float) -> None:
        if act is ListAct.LEAVE_OUT and not self.guard.is_seen(now):
            return
        is_for_none = act is ListAct.LEAVE_OUT and group.cursor is None
        self.notice = PICK_FIRST if is_for_none else ""
        self._show_list(self._list_as_seen(group).act(act), now)

    def _answer_list(self, verdict: Verdict, group: GroupList, now: float, lifetime: Lifetime | None) -> Effect | None:
        group = self.group = self._list_as_seen(group)
        is_allowed = verdict is Verdict.ALLOW
        if is_allowed and group.unseen:
            self.notice = SCROLL_FIRST
            self._show_list(group.show_unseen(), now)
            return None
        ids = group.taken if is_allowed else group.denied
        self.notice = "" if ids else ALL_LEFT_OUT
        if not ids:
            return None
        answers = tuple(self._give(self.questions[prompt_id], verdict, lifetime) for prompt_id in ids)
        return self._send(answers, now, stays=not is_allowed and group.cursor is not None)

    def _unlist(self, question: OpenQuestion, now: float) -> bool:
        """Take a question that was answered or is gone out of the list; False if it is not in it. If the choice was
        its, that becomes what the others begin with."""
        prompt_id, group = question.prompt.prompt_id, self.group
        if group is None or prompt_id not in group.ids:
            return False
        left = self._list_as_seen(group).without(prompt_id)
        if prompt_id == self._selected_id:
            for number in left.ids:
                choice = self.questions[number].follow(question)
                prompt = msgspec.structs.replace(self.questions[number].prompt, alone=None, widened="")
                self.questions.change(number, prompt=prompt, first=choice, choice=choice)
            self._selected_id = left.ids[0]
        if group.cursor == prompt_id:
            self.guard.renew(now)
        if len(left.ids) > 1:
            self._show_list(left, now)
        else:
            self._select(left.ids[0], now)
        return True

    # what was decided

    def _move_in_past(self, name: str, now: float) -> bool:
        """Select a decision, or with Esc none. Keys for the first one count once it has been in sight for a while."""
        was_there = self.recent.selected is not None
        if name == "escape" and was_there:
            self.recent.leave()
            return True
        if not self.recent.move(name):
            return False
        if not was_there:
            self.guard.renew(now)
        return True

    def _act_on_past(self, name: str, now: float) -> Effect | None:
        """What a key does with the decision that is selected."""
        key = find_key(name)
        act = key.effect if key else None
        if act in (Act.HELP, Act.LEGEND, Act.NEXT, Act.PREVIOUS):
            self._act(act, now)
        if not self.guard.is_seen(now) or self.guard.is_held(name, now):
            return None
        if act is Act.EDIT:
            self._begin_edit_of_past(now)
            return None
        if isinstance(act, Verdict | Forever):
            change = self.recent.change_by(Verdict(act.value))
        else:
            change = self.recent.take_back() if name in TAKE_BACK else None
        if change:
            self.notice = ""
            self.guard.note_used(name, now)
        return change

    def _begin_edit_of_past(self, now: float) -> None:
        self.edit = self.recent.begin_edit()
        self.page, self.notice, self._is_edit_of_past = Page.EDIT, "", True
        self.guard.note_used(_EDIT_KEY, now)

    # the rule edited by hand

    @property
    def is_edit_lost(self) -> bool:
        """Whether the question whose rule is edited has vanished."""
        return self.page is Page.EDIT and self.selected is None and not self._is_edit_of_past

    @property
    def is_edit_of_past(self) -> bool:
        """Whether the line that is edited is for a decision that was made."""
        return self.page is Page.EDIT and self._is_edit_of_past

    def _begin_edit(self, now: float) -> None:
        question = self._find_ready(now)
        if question is None:
            return
        wall_s = now + self.wall_ahead_s
        self.edit = begin_edit(question.prompt.connection, question.choice_for(Verdict.ALLOW), wall_s, question.draft)
        self.page, self.notice = Page.EDIT, ""
        self.guard.note_used(_EDIT_KEY, now)
        self.group = None
        self.guard.renew(now)

    def _press_in_edit(self, name: str, text: str, now: float) -> Effect | None:
        if name == _LEAVE_AT_ONCE and not self.is_guest:
            return Leave()
        if name == "escape":
            self._end_edit(now)
        elif name == "enter":
            return self._answer_by_hand(now)
        elif not self.guard.is_held(name, now):
            self.edit = self.edit.press(name, text)
            self.guard.note_edited(now)
            self.guard.note_used("", now)  # a different key came: the `e` that began the edit is no longer held
        return None

    def _end_edit(self, now: float) -> None:
        self.page, self._is_edit_of_past = Page.QUESTION, False
        self._select(self._selected_id if self.selected else self.questions.find_first_waiting(), now)

    def _takes_text(self, now: float) -> bool:
        """Whether a line is edited. Anywhere else a paste does nothing."""
        return self.page is Page.EDIT and not self.guard.is_deaf(now, is_click=True)

    def _change_line(self, edit: LineEdit, now: float) -> None:
        self.edit = edit
        self.guard.note_edited(now)

    def _answer_by_hand(self, now: float) -> Effect | None:
        if self.guard.is_pasted(now) or find_fault(self.edit, now + self.wall_ahead_s):
            return None
        if self.selected is None:
            self.notice = ""
            self._end_edit(now)
            return RuleChange(self.edit.text)
        question = self._find_ready(now)
        if question is None:
            return None
        answer = question.answer_by_hand(self.edit.text, is_guest=self.is_guest)
        self.page = Page.QUESTION
        return self._send((answer,), now)

    # the time of questions that the person is at

    def _keep(self, now: float) -> Effect | None:
        """Have the time of the questions in sight begin anew: at once, and then each second."""
        ids = self.group.ids if self.group else tuple(filter(None, (self._selected_id,)))
        if not ids or (ids == self._kept and now - self._kept_s < KEEP_S):
            return None
        self._kept, self._kept_s = ids, now
        return KeepQuestions(ids)


def _with_lifetime(prompt: Prompt, proposal: Choice, lifetime: Lifetime) -> Choice:
    return bounded(prompt.connection, msgspec.structs.replace(proposal, lifetime=lifetime))
