"""`tinysnitch status`: whether enforcement stands, what waits, and everything that was ever lost."""

import os
import textwrap
from collections.abc import Iterator

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.cli.output import print_lines, print_object
from tinysnitch.client.control_client import ControlClient
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.protocol.messages import ReadStatus, Status
from tinysnitch.protocol.mode import Mode
from tinysnitch.view.duration import format_duration

_MODES = {
    Mode.BPF: "enforcing, programs identified by the kernel (BPF)",
    Mode.DEGRADED: "DEGRADED: enforcing without BPF, attribution is weaker",
}
_NOT_ENFORCING = "NOT enforcing: what is new may pass unasked"
_CROWDED = "more comes than can be judged, and the rest is dropped"
_LABEL_WIDTH = 20
_TEXT_WIDTH = 79 - _LABEL_WIDTH


@click.command("status", epilog=examples("tinysnitch status", "tinysnitch status --json"))
@socket_option
@json_option
def status_command(socket_path: str, as_json: bool) -> None:
    """Whether the firewall stands, what waits, what was lost."""
    with ControlClient(socket_path) as client:
        status = client.ask_one(ReadStatus(), Status)
    if as_json:
        print_object(encode_object(status))
    else:
        print_lines(f"{label:<{_LABEL_WIDTH}}{text}" for label, text in present_status(status, os.geteuid()))


def present_status(status: Status, uid: int = 0) -> Iterator[tuple[str, str]]:
    """Label and text of each line: first what a person may have to act on. `uid`: who asks."""
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
        if status.learned_rules:  # not of a daemon from before the upgrade, which is to be restarted
            yield "", f"as rules in {status.learned_rules}"
    yield "questions open", str(status.prompts)
    yield "prompts attached", str(status.prompt_clients or _present_nobody(status))
    yield from _present_rules(status, uid)
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
    """With `--timeout 0` its time is over at once."""
    return "none" if status.is_learning else "none: what no rule covers is denied when its time is over"


def _present_rules(status: Status, uid: int) -> Iterator[tuple[str, str]]:
    """Whoever is not root may be shown some rules only, or all as an admin: the daemon does not say which."""
    shown = " that you may see" if uid else ""
    yield "rules", f"{status.rules}{shown} in {status.rules_file}, {status.temporary_rules} temporary"
    if status.rule_errors:
        yield "RULES NOT LOADED", f"the file has errors, {what_holds(status.rules)}"
    for error in status.rule_errors:
        yield "", error
    if status.rule_errors:
        yield "", f"hint: `tinysnitch rules check {status.rules_file}` says how to mend it"


def _present_counts(label: str, counts: dict[str, int]) -> Iterator[tuple[str, str]]:
    """In rows of a terminal's width. The count stands behind the name, which is in the plural."""
    return _present_wrapped(label, ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing")


def _present_wrapped(label: str, text: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(textwrap.wrap(text, _TEXT_WIDTH)):
        yield "" if number else label, row


def _present_losses(losses: dict[str, int]) -> Iterator[tuple[str, str]]:
    """A line for each counter that has counted; --json has those at zero too."""
    lost = [(count, name) for name, count in losses.items() if count]
    if not lost:
        yield "lost", f"nothing, by {len(losses)} counters"
    for number, (count, name) in enumerate(lost):
        yield "" if number else "LOST", f"{count} {name}"
