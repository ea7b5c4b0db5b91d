"""Answers the requests of clients, on top of engine and driver: each client gets what its right covers, and no more."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from msgspec.structs import replace

from tinysnitch.core.engine.events import (
    AnswerGiven,
    AnswersTakenBack,
    ClientAttached,
    ClientDetached,
    ModeSet,
    PromptTended,
)
from tinysnitch.core.engine.open_prompts import OpenPrompt
from tinysnitch.core.engine.records import PromptAnswered
from tinysnitch.core.model.asking_mode import AskingMode, begin_mode
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.process import uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.references import BUILT_IN_LISTS
from tinysnitch.core.policy.user_rules import find_excess
from tinysnitch.core.prompts.answer import is_rule_kept, rule_for_choice
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.changes import Act, ChangedRule, Deed, Place, place_of
from tinysnitch.core.rules.note import made_by, note_of
from tinysnitch.core.rules.rule import RemoteKind, Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.daemon.control.clients import UNSAVED
from tinysnitch.daemon.control.peer import Pause
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.instance import Identity
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.loop.reloader import Reloader
from tinysnitch.daemon.loop.settings_watch import SettingsWatch
from tinysnitch.daemon.requests.connection_end import end_connections
from tinysnitch.daemon.requests.counters import Counters
from tinysnitch.daemon.requests.explainer import Explainer
from tinysnitch.daemon.requests.looking_back import LookingBack
from tinysnitch.daemon.requests.rule_list import rule_entries, with_use
from tinysnitch.daemon.requests.rule_permission import (
    ChangeBudget,
    check_mode,
    check_new_rule,
    check_owner,
    check_sees_all,
    may_see_rule,
)
from tinysnitch.daemon.requests.rule_undo import RuleUndo
from tinysnitch.daemon.requests.tidying import Tidying
from tinysnitch.daemon.requests.traffic_watch import TrafficWatch, Watcher
from tinysnitch.daemon.rules.lists import HeldList, ListLoader
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.rules.users import UserNames
from tinysnitch.daemon.rules.uses import UseCount
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.protocol import messages as msg
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.protocol.messages import (
    LEARNED_RULES,
    Explain,
    Explanation,
    ListEntry,
    ListState,
    RuleEntry,
    RuleGroup,
    Status,
)
from tinysnitch.store.change_record import ChangeRecord
from tinysnitch.store.history import History
from tinysnitch.store.rule_groups import Group
from tinysnitch.store.rule_numbers import RuleNumbers
from tinysnitch.store.rules_file import RulesFile

_NS = 1_000_000_000


def list_entries(lists: ListLoader, rules: Iterable[Rule]) -> list[ListEntry]:
    """The lists in the folder, and those that rules name but that do not exist."""
    uses = Counter(rule.remote.text for rule in rules if rule.remote.kind is RemoteKind.LIST)
    held = lists.held()
    return [
        _entry(str(lists.folder / name), name, uses[name], held.get(name))
        for name in sorted({*held, *uses} - BUILT_IN_LISTS)
    ]


def _entry(path: str, name: str, rules: int, held: HeldList | None) -> ListEntry:
    if held is None:
        return ListEntry(list=name, path=path, rules=rules, state=ListState.MISSING)
    if held.compiled is None:
        state = ListState.LOADING if held.is_loading else ListState.MISSING
        return ListEntry(list=name, path=path, rules=rules, state=state, problem=held.problem)
    summary = held.compiled.summary
    return ListEntry(
        list=name,
        path=path,
        rules=rules,
        state=ListState.LOADING if held.is_loading else ListState.LOADED,
        problem=held.problem,
        names=summary.names,
        addresses=summary.addresses,
        networks=summary.networks,
        bad_lines=summary.bad_lines,
        bad_examples=summary.bad_examples,
        updated=summary.stamp.mtime_ns / _NS,
        source=summary.source,
    )


_SUM_HINT = "a file's sum is read once a rule asks for it: `tinysnitch rules add` it, then let the program try again"
_ADD, _REMOVE = Deed(Act.ADD), Deed(Act.REMOVE)
_OBSERVING_HINT = "start it without --learn, and then `tinysnitch pause` as you need it"
_AWAITED_HINT = "try again in a moment, or write the uid instead of the user's name (`id -u`)"


def _removed(
    line: str, group: str = "", note: str = "", *, place: Place = Place.FILE, exec_id: int | None = None
) -> ChangedRule:
    return ChangedRule(line, place, exec_id=exec_id, group=group, note=note, is_removed=True)


def _seconds_left(mode: AskingMode, now: Instant) -> float | None:
    return None if mode.ends_s is None else round(max(0.0, mode.ends_s - now.boot_s), 3)


class RequestHandler:
    def __init__(
        self,
        identity: Identity,
        driver: Driver,
        *,
        rules_file: RulesFile,
        loader: RuleLoader,
        reloader: Reloader,
        counters: Counters,
        history: History,
        looking_back: LookingBack,
        settings: SettingsWatch,
        numbers: RuleNumbers,
        changes: ChangeRecord,
    ) -> None:
        self._identity = identity
        self._driver = driver
        self._engine = driver.engine
        self._clients = driver.ports.clients
        self._rules_file = rules_file
        self._names = UserNames()
        self._loader = loader
        self._reloader = reloader
        self._counters = counters
        self._history = history
        self._looking_back = looking_back
        self._settings = settings
        self._budget = ChangeBudget()
        self._explainer = Explainer(driver.engine, loader.find_group)
        self._traffic = TrafficWatch(driver.ports.traffic)
        self._tidying = Tidying(
            driver,
            add_rule=lambda line, right, deed: self.add_rule(line, right, deed=deed),
            remove_rule=lambda line, right, deed: self.remove_rule(line, right, deed=deed),
        )
        self._numbers = numbers
        self._undo = RuleUndo(driver, self._files, changes, learn_words=self._learn_words, reload=self._reload)

    def handle(self, request: msg.Request, right: Right) -> Iterable[msg.Reply | Pause]:
        """Answer a request that can be answered at once. Raises SnitchError."""
        match request:
            case msg.ReadStatus():
                return (self.status(right),)
            case msg.ListRules(is_used):
                return self.list_rules(right, is_used=is_used)
            case msg.ListLists():
                return self.list_lists(right)
            case msg.ListAsks():
                return map(msg.prompt_shown, self.list_asks(right))
            case msg.Explain():
                return (self.explain(request, right),)
            case msg.AddRule(line, group):
                return (msg.RuleWritten(self.add_rule(line, right, group)),)
            case msg.MoveRule(line, group, number):
                line, source = self._find_line(line, number, right)
                return (msg.RuleWritten(self.move_rule(line, group, right, source)),)
            case msg.SwitchGroup(group, is_on):
                return (msg.GroupSwitched(self.switch_group(group, right, is_on=is_on)),)
            case msg.RemoveRule(line, number):
                line, source = self._find_line(line, number, right)
                return (msg.RuleWritten(self.remove_rule(line, right, source)),)
            case msg.ListChanges():
                return map(msg.change_entry, self._undo.list_changes(right))
            case msg.TakeBack(number):
                self._count_change(right)
                return (self._undo.take_back(number, right),)
            case msg.ListProposals():
                return self._tidying.list_proposals(request, right)
            case msg.TakeProposal():
                return self._tidying.take(request, right)
            case msg.ListLearned():
                return self._tidying.list_learned(right)
            case msg.TakeLearned():
                return (self._tidying.take_learned(request, right),)
            case msg.ReadHistory(question):
                return self._looking_back.read_history(question, right)
            case msg.EndConnections():
                return (msg.ConnectionsEnded(self.end_connections(request, right)),)
            case msg.ReadNames(question):
                return self._looking_back.read_names(question, right)
            case msg.SetMode():
                return (self.set_mode(request, right),)
            case msg.GiveAnswer():
                return (self._give_answer(request, right),)
            case msg.KeepOpen(prompt_id):
                self.keep_open(prompt_id, right)
                return ()
            case msg.Hello() | msg.ReadLog() | msg.Attach() | msg.WatchTraffic():
                raise AssertionError(f"{request} is for the control server")
            case _:
                assert_never(request)

    def status(self, right: Right) -> Status:
        """Counts only rules and questions that the right covers. Errors quote the rules file: for who sees all."""
        identity, rules = self._identity, self._engine.rules
        now, mode = read_instant(), self._engine.mode
        hits, misses = self._counters.hits_and_misses()
        clients = self._clients.statistics()
        return Status(
            pid=identity.pid,
            mode=identity.mode,
            mode_reason=identity.degraded_because,
            not_enforcing=self._counters.not_enforcing,
            cannot_restart=self._counters.cannot_restart,
            is_crowded=self._driver.is_overloaded,
            netns=identity.netns,
            cgroup=identity.cgroup,
            rules_file=str(self._rules_file.path),
            uptime_s=now.boot_s - identity.started_s,
            is_learning=mode.is_observing,
            learned_rules=self._learned_rules,
            asking=mode.verdict,
            asking_until=None if mode.until_s is None else format_time(mode.until_s),
            asking_left_s=_seconds_left(mode, now),
            rules=len(self._visible(rules.from_file(), right)),
            temporary_rules=len(self._visible(rules.temporary(), right)),
            groups=tuple(map(self._tell_group, self._loader.groups.list_all())) if right.sees_all else (),
            settings_file=str(self._settings.path),
            setting_errors=tuple(error.with_hint() for error in self._settings.now.errors) if right.sees_all else (),
            settings_later=self._settings.later if right.sees_all else (),
            rule_errors=tuple(error.with_hint() for error in self._loader.errors) if right.sees_all else (),
            prompts=len(self.list_asks(right)),
            clients=clients.clients,
            prompt_clients=clients.prompt_clients,
            queues=self._counters.waiting(),
            hits=hits,
            misses=misses,
            tables=self._counters.tables(),
            evicted=self._counters.evicted(),
            losses=self._counters.losses(),
        )

    @property
    def _learned_rules(self) -> str:
        """The path of the file with what passes only since nobody is asked; "": nothing does."""
        state_dir = self._identity.options.state_dir
        return str(state_dir / LEARNED_RULES) if self._engine.mode.verdict is Verdict.ALLOW else ""

    def set_mode(self, request: msg.SetMode, right: Right) -> msg.ModeState:
        check_mode(right)
        if self._engine.mode.is_observing:
            raise SnitchError("tinysnitchd observes (--learn): what no rule decides passes anyway", _OBSERVING_HINT)
        if request.mode is Verdict.ALLOW:
            self._check_denials()
        was, before = self._engine.mode, len(self._engine.prompts)
        learned_rules = self._learned_rules
        if request.mode is not Verdict.ASK or was.verdict is not Verdict.ASK:
            self._driver.feed(ModeSet(begin_mode(request.mode, request.for_s, read_instant()), right.uid))
        mode = self._engine.mode
        return msg.ModeState(
            mode=mode.verdict,
            was=was.verdict,
            until=None if mode.until_s is None else format_time(mode.until_s),
            left_s=_seconds_left(mode, read_instant()),
            decided=before - len(self._engine.prompts),
            learned_rules=learned_rules or self._learned_rules,
        )

    def _check_denials(self) -> None:
        """Raise SnitchError while the rules of a file are not known: what they deny would pass."""
        for error in self._loader.errors:
            broken, held = self._loader.find_broken(error)
            if not held:
                raise SnitchError(f"{broken} does not load, and what it denies would pass: {error}", error.hint)

    # Rules

    def list_rules(self, right: Right, *, is_used: bool = False) -> Iterator[RuleEntry]:
        """The rules in force. Each line is made as it is sent: there may be many, and verdicts must not wait."""
        rules = self._engine.rules
        uses = self._driver.ports.uses.read(read_instant()) if is_used else None
        listed = rule_entries(rules, self._loader, lambda rule: may_see_rule(rule, right, rules), uses)
        return self._numbered(listed, right)

    def _numbered(self, entries: Iterator[RuleEntry], right: Right) -> Iterator[RuleEntry]:
        shown = set[int]()
        for entry in entries:
            number = self._numbers.get(entry.rule, entry.group or "")
            shown.add(number or 0)
            yield replace(entry, number=number)
        if right.sees_all:
            self._numbers.forget_others(shown)

    def _find_line(self, line: str, number: int | None, right: Right) -> tuple[str, str | None]:
        """The line that a client means, and the group that it is in, "" being none. Of a line, the group is None: any.

        Raises SnitchError if the line with this number is gone, or not for this client: no other line has its number.
        """
        if number is None:
            return line, None
        group, line = self._numbers.find(number) or ("", "")
        rule = parse_rule(line) if line else None
        if rule is None or not self._is_listed(rule, group) or not may_see_rule(rule, right, self._engine.rules):
            more = " any more" if self._numbers.was_given(number) else ""
            raise SnitchError(f"there is no rule {number}{more}", "`tinysnitch rules` numbers those that are in force")
        return line, group

    def _is_listed(self, rule: Rule, group: str) -> bool:
        file = self._files().get(group)
        if file and rule in (each for _line, each in file.lines()):
            return True
        # of an answer: it may be in force, and the file not read since
        is_in_main = self._engine.rules.has(rule, is_temporary=False) and self._loader.find_group(rule) is None
        return not group and (is_in_main or bool(self._find_temporary(format_rule(rule))))

    def _find_temporary(self, line: str) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._engine.rules.temporary() if format_rule(rule) == line)

    def _visible(self, rules: tuple[Rule, ...], right: Right) -> tuple[Rule, ...]:
        if right.sees_all:
            return rules
        return tuple(rule for rule in rules if may_see_rule(rule, right, self._engine.rules))

    def list_lists(self, right: Right) -> list[ListEntry]:
        return list_entries(self._loader.lists, self._engine.rules) if right.sees_all else []  # users' rules name none

    def add_rule(self, line: str, right: Right, group: str | None = None, *, deed: Deed = _ADD) -> str:
        self._count_change(right)
        rule = parse_rule(line)
        self._check_change(rule, right, check_new_rule)
        note = made_by(self._names.find(right.uid), read_instant().wall_s, note_of(line))
        file = self._file_of(group, right)
        changed = ChangedRule(format_rule(rule), is_new=file.append(rule, note), group=group or "")
        self._undo.note(deed, changed, uid=right.uid)
        self._reload(right, file)
        return changed.line

    def _file_of(self, group: str | None, right: Right) -> RulesFile:
        """The file of a group, made if there is none; None is the main one. Raises SnitchError."""
        if group is None:
            return self._rules_file
        check_sees_all(right, "put rules into groups")
        return self._loader.groups.make(group)

    def move_rule(self, line: str, group: str | None, right: Right, source: str | None = None) -> str:
        """Move the rule's line from where it is: from the group `source`, or all. Raises SnitchError."""
        check_sees_all(right, "put rules into groups")
        rule = parse_rule(line)
        target = self._file_of(group, right)
        wanted, is_new = format_rule(rule), rule not in target.read().rules
        others = {name: file for name, file in self._files(source).items() if file is not target}
        notes = {name: file.find_note(rule) for name, file in others.items()}
        found = [_removed(wanted, name, notes[name]) for name, file in others.items() if file.move_to(target, rule)]
        if not found:
            if not is_new:
                raise SnitchError(f"the rule is in {target.path} already")
            raise self._not_found(rule)
        moved = ChangedRule(wanted, is_new=is_new, group=group or "")
        self._undo.note(Deed(Act.MOVE), moved, *found, uid=right.uid)
        self._reload(right, target)
        return wanted

    def switch_group(self, name: str, right: Right, *, is_on: bool) -> RuleGroup:
        check_sees_all(right, "switch groups on and off")
        groups = self._loader.groups
        if groups.switch(name, is_on=is_on):
            self._reload(right, groups.on.get(name))
        return self._tell_group(groups.get(name))

    def _tell_group(self, group: Group) -> RuleGroup:
        return RuleGroup(group.name, str(group.path), group.is_on, self._loader.count_held(group.name))

    def remove_rule(self, line: str, right: Right, source: str | None = None, *, deed: Deed = _REMOVE) -> str:
        """Remove the rule from where it is: from the group `source`, "" being none, or from all. Raises SnitchError."""
        self._count_change(right)
        rule = parse_rule(line)
        self._check_change(rule, right, check_owner)
        wanted = format_rule(rule)
        temporary = () if source else self._find_temporary(wanted)
        if temporary:
            self._driver.feed(AnswersTakenBack(temporary))
        removed = [_removed(wanted, place=place_of(each), exec_id=each.exec_id) for each in temporary]
        files = self._files(source)
        changed = list[RulesFile]()
        try:
            for name, file in files.items():
                note = file.find_note(rule)
                if file.remove(wanted):
                    changed.append(file)
                    removed.append(_removed(wanted, name, note))
        except SnitchError:
            if not removed or self._engine.rules.has(rule, is_temporary=False):
                raise
        finally:
            if removed:
                self._undo.note(deed, *removed, uid=right.uid)
        for file in changed:
            self._reload(right, file)
        if not removed:
            raise self._not_found(rule)
        return wanted

    def _count_change(self, right: Right) -> None:
        """Count one change, before its line is read: that may take long. Raises SnitchError when they are too many."""
        if not right.sees_all:
            self._budget.spend(right.uid, read_instant().boot_s)

    def _check_change(self, rule: Rule, right: Right, check: Callable[[Rule, Right, ActiveRules], None]) -> None:
        """Raise SnitchError when a user with the right for their own processes may not make this change."""
        if not right.sees_all:
            self._learn_words(rule, right)
            check(rule, right, self._engine.rules)

    def _not_found(self, rule: Rule) -> SnitchError:
        line = format_rule(rule)
        if self._loader.errors and rule in self._engine.rules.from_file():
            problem = f"the rule {line!r} is in force, but not in the file as it is now, which has errors"
            return SnitchError(problem, "once the file is mended, the rules in it are those that hold")
        # The shell removes the quotes of a pasted line, and without them `'-'` or `'lan'` means another thing.
        hint = "`tinysnitch rules` lists them; one with quotes in it must stand in quotes as a whole"
        return SnitchError(f"there is no rule {line!r}", hint)

    def _learn_words(self, rule: Rule, right: Right) -> None:
        """Have the facts know where the rule's path leads and who its user is, before it is checked or added.

        A rule that will be refused anyway is left out: the log would tell of problems with its list, which no rule has.
        Raises SnitchError when the look-up takes longer than verdicts may wait.
        """
        if right.sees_all or not find_excess(rule):
            if self._loader.is_awaited(rule):
                raise SnitchError("the user or list that the rule names is still being looked up", _AWAITED_HINT)
            self._driver.feed(*self._loader.read_facts((*self._engine.rules, rule)))

    def _files(self, group: str | None = None) -> dict[str, RulesFile]:
        """Those that count, by group, "" being the main one; or that of this group."""
        files = {"": self._rules_file, **self._loader.groups.on}
        return files if group is None else {group: files[group]}

    def _reload(self, right: Right, changed: RulesFile | None) -> None:
        """Load the files anew. Raises SnitchError when a change is not in force, since the changed file does not load.
        None: it is a file that counts no more."""
        self._reloader.reload_rules()
        if self._reloader.is_behind:
            problem = "the file is changed, but could not be loaded, and the old rules hold"
            raise SnitchError(problem, "tinysnitchd tries again; its log tells why")
        errors = self._loader.errors_of(changed) if changed else ()
        if errors:
            _broken, held = self._loader.find_broken(errors[0])
            problem = f"the file is changed, but it does not load, and {what_holds(held)}"
            if not right.sees_all:
                raise SnitchError(problem, "root can see why: `tinysnitch status`")
            raise SnitchError(f"{problem}: {errors[0]}", errors[0].hint)

    # Questions

    def list_asks(self, right: Right) -> list[Prompt]:
        asks = self._engine.open_prompts(read_instant())
        return [ask for ask in asks if right.covers(uid_of(ask.connection.attribution))]

    def _give_answer(self, request: msg.GiveAnswer, right: Right) -> msg.RuleWritten:
        answer = request.rule if request.choice is None else request.choice
        if answer is None or (request.choice and request.rule is not None):
            raise SnitchError("an answer is either a choice or a rule", "send exactly one of them")
        self._clients.take_unsaved()  # forget what an earlier answer left
        rule = self.answer(request.prompt_id, answer, right, request.together)
        error = self._clients.take_unsaved()
        if error is None:
            return msg.RuleWritten(rule)
        if not right.sees_all:
            return msg.RuleWritten(rule, UNSAVED, "root can see why: `tinysnitch log`")
        return msg.RuleWritten(rule, f"{UNSAVED}: {error}", error.hint)

    def answer(self, prompt_id: int, answer: Choice | str, right: Right, together: int = 0) -> str:
        """Answer with a choice or with a rule line, and return the line of the rule that this made. `together`: the
        same for all answers of one key."""
        prompt = self._find_open(prompt_id, right)
        self._count_change(right)
        if isinstance(answer, Choice):
            choice = answer if right.sees_all else self._own_choice(prompt, answer, right)
            event = AnswerGiven(prompt_id, choice, right.uid)
        else:
            rule = self._parse_answer(prompt_id, answer, right)
            event = AnswerGiven(prompt_id, Choice(verdict=rule.verdict, lifetime=Lifetime.FOREVER), right.uid, rule)
        if event.choice.verdict is Verdict.ASK:
            raise SnitchError("`ask` is no answer", "an answer allows or denies")
        records = self._driver.feed(event)
        made = [record.changed for record in records if isinstance(record, PromptAnswered) and record.changed]
        if not made:
            raise SnitchError(f"question {prompt_id} could not be answered", "the log of tinysnitchd tells why")
        act = Act.YES if event.choice.verdict is Verdict.ALLOW else Act.NO
        self._undo.note(Deed(act, together), made[0], uid=right.uid)
        return made[0].line

    def keep_open(self, prompt_id: int, right: Right) -> None:
        """A person is at the question: its time begins again."""
        self._find_open(prompt_id, right)
        self._driver.feed(PromptTended(prompt_id))

    def _find_open(self, prompt_id: int, right: Right) -> OpenPrompt:
        """Raises SnitchError when the question is not open. One that the right does not cover looks the same."""
        prompt = self._engine.prompts.find(prompt_id)
        if prompt and right.covers(prompt.key.uid):
            return prompt
        closed = self._engine.prompts.find_closed(prompt_id)
        why = f": {closed.reason}" if closed and right.covers(closed.uid) else ""
        raise SnitchError(f"question {prompt_id} is not open{why}", "`tinysnitch asks` lists what is open")

    def _own_choice(self, prompt: OpenPrompt, choice: Choice, right: Right) -> Choice:
        """The choice as a user with the right for their own processes may make it: its rule is for that user alone.
        Raises SnitchError when that rule is not permitted."""
        choice = replace(choice, is_for_user=True)
        connection = next(iter(prompt.held.values())).connection
        if is_rule_kept(connection, choice):
            check_new_rule(rule_for_choice(connection, choice, read_instant().wall_s), right, self._engine.rules)
        return choice

    def _parse_answer(self, prompt_id: int, line: str, right: Right) -> Rule:
        rule = parse_rule(line)
        self._learn_words(rule, right)
        check_new_rule(rule, right, self._engine.rules)
        if not self._engine.is_answered_by(prompt_id, rule, read_instant()):
            raise SnitchError(
                "the rule is not about this connection",
                _SUM_HINT if rule.sha256 else "`tinysnitch rules add` takes any rule",
            )
        return rule

    def attach(self, client_id: int, right: Right) -> None:
        self._driver.feed(ClientAttached(client_id, None if right.sees_all else right.uid))

    def detach(self, client_id: int) -> None:
        self._driver.feed(ClientDetached(client_id))

    # Looking at what happens, back and ahead

    def watch(self, peer: Watcher) -> None:
        self._traffic.add(peer)

    def end_connections(self, wanted: msg.EndConnections, right: Right) -> int:
        self._count_change(right)  # the kernel lists all sockets for it
        return end_connections(wanted, right, self._driver.ports.attributor)

    def unwatch(self, client_id: int) -> None:
        self._traffic.remove(client_id)

    def read_history(self, limit: int, right: Right) -> Iterator[bytes]:
        return self._history.read_newest(limit, None if right.sees_all else right.uid)

    def explain(self, question: Explain, right: Right) -> Explanation:
        found = self._explainer.explain(question, right)
        beaten, elsewhere = (
            tuple(replace(each, number=self._numbers.get(each.rule, each.group or "")) for each in rules)
            for rules in (found.beaten, found.elsewhere)
        )
        if found.rule is None:
            return replace(found, beaten=beaten, elsewhere=elsewhere)
        number = self._numbers.get(found.rule, found.group or "")
        use = self._driver.ports.uses.read(read_instant()).get(parse_rule(found.rule), UseCount())
        return with_use(replace(found, number=number, beaten=beaten, elsewhere=elsewhere), use)
