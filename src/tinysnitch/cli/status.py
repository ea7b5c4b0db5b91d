"""`tinysnitch status`: whether the firewall stands, what waits, and what was lost since the daemon started."""

import os
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.protocol.messages import Mode, ReadStatus, Status
from tinysnitch.view.answer_words import HOW_TO_END, tell_mode
from tinysnitch.view.span import format_duration

_MODES = {
    Mode.BPF: "enforcing, programs identified by the kernel (BPF)",
    Mode.DEGRADED: "DEGRADED: enforcing without BPF, programs known less surely",
}
_NOT_ENFORCING = "NOT enforcing: new connections may pass unasked"
_CROWDED = "more packets come than can be judged, and the rest is dropped"
_LABEL_WIDTH = 20
_TEXT_WIDTH = 79 - _LABEL_WIDTH


@click.command("status", epilog=examples("tinysnitch status", "tinysnitch status --json"))
@socket_option
@json_option
def status_command(socket_path: str, as_json: bool) -> int:
    """Show whether the firewall stands, what waits, and what was lost. Exit code 1 if it does not stand."""
    with ControlClient(socket_path) as client:
        status = client.ask_one(ReadStatus(), Status)
    if as_json:
        print_object(encode_object(status))
    else:
        print_lines(f"{label:<{_LABEL_WIDTH}}{text}" for label, text in present_status(status, os.geteuid()))
    return 1 if status.not_enforcing else 0


def present_status(status: Status, uid: int = 0) -> Iterator[tuple[str, str]]:
    """The label and text of each line, first those that a person may have to act on. `uid` is the user who asks."""
    yield "mode", _NOT_ENFORCING if status.not_enforcing else _MODES[status.mode]
    if status.not_enforcing:
        yield from _present_wrapped("because", status.not_enforcing)
    if status.mode_reason:
        yield "because", status.mode_reason
    if status.cannot_restart:
        yield from _present_wrapped("CANNOT RESTART", status.cannot_restart)
    if status.is_crowded:
        yield "CROWDED", _CROWDED
    if status.is_learning:
        yield "observing", "what no rule decides is allowed and recorded"
        if status.learned_rules:  # empty from the daemon of an older version, not yet restarted after an upgrade
            yield "", f"as rules in {status.learned_rules}"
    elif status.asking is not Verdict.ASK:
        yield from _present_wrapped("NOT ASKING", tell_mode(status.asking, status.asking_left_s) + HOW_TO_END)
        if status.learned_rules:
            yield "", f"what passes is listed in {status.learned_rules}"
    yield "questions open", str(status.prompts)
    yield "prompts attached", str(status.prompt_clients or _present_nobody(status))
    yield from _present_rules(status, uid)
    yield from _present_settings(status)
    yield "packets judged", f"{status.hits} in the kernel (hits), {status.misses} here (misses)"
    yield from _present_counts("waiting", status.queues)
    yield from _present_counts("in use", status.tables)
    evicted = {table: count for table, count in status.evicted.items() if count}
    if evicted:
        yield from _present_counts("evicted", evicted)
    yield from _present_losses(status.losses)
    yield "daemon", f"version {status.version}, pid {status.pid}, up {format_duration(status.uptime_s)}"
    yield "network namespace", str(status.netns)
    yield "cgroup", status.cgroup


def _present_nobody(status: Status) -> str:
    """What happens while no prompt is attached. With `--timeout 0` the time of a question is over at once."""
    is_asked = status.asking is Verdict.ASK and not status.is_learning
    return "none" if not is_asked else "none: what no rule covers is denied when its time is over"


def _present_rules(status: Status, uid: int) -> Iterator[tuple[str, str]]:
    """The daemon counts only rules that the user may see: for an admin these are all, but it does not say so."""
    shown = " that you may see" if uid else ""
    groups = " and groups" if status.groups else ""
    yield "rules", f"{status.rules}{shown} in {status.rules_file}{groups}, {status.temporary_rules} temporary"
    told = (f"{group.group} {group.rules if group.is_on else 'off'}" for group in status.groups)
    yield from _present_wrapped("in groups", ", ".join(told))
    if status.rule_errors:
        broken = find_broken(status)
        yield "RULES NOT LOADED", f"{broken.what} has errors, {what_holds(broken.rules)}"
        yield from (("", error) for error in status.rule_errors)
        yield "", f"hint: `tinysnitch rules check {broken.path}` says how to correct it"


class BrokenFile(NamedTuple):
    what: str
    path: str
    rules: int  # of it that hold


def find_broken(status: Status) -> BrokenFile:
    """The file of the first error in the rules."""
    first = status.rule_errors[0]
    for group in status.groups:
        if first.startswith(f"{group.path}:"):
            return BrokenFile(f"the group {group.group}", group.path, group.rules)
    of_groups = sum(group.rules for group in status.groups)
    return BrokenFile("the rules file", status.rules_file, status.rules - of_groups)


def _present_settings(status: Status) -> Iterator[tuple[str, str]]:
    if status.setting_errors:
        yield "SETTINGS WRONG", f"what these lines of {status.settings_file} say does not count"
    for error in status.setting_errors:
        yield "", error
    if status.settings_later:
        yield from _present_wrapped("settings", f"at the next start these count: {', '.join(status.settings_later)}")


def _present_counts(label: str, counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    """`NAME COUNT, NAME COUNT`, in rows of a terminal's width. Names are in the plural, so that any count fits."""
    return _present_wrapped(label, ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing")


def _present_wrapped(label: str, text: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(textwrap.wrap(text, _TEXT_WIDTH)):
        yield "" if number else label, row


def _present_losses(losses: dict[str, int]) -> Iterator[tuple[str, str]]:
    """A line for each counter above zero; --json has those at zero, too."""
    lost = [(count, name) for name, count in losses.items() if count]
    if not lost:
        yield "lost", f"nothing (all {len(losses)} counters are 0)"
    for number, (count, name) in enumerate(lost):
        yield "" if number else "LOST", f"{count} {name}"
