"""`tinysnitch pause`, `resume` and `mode`: whether people are asked about what no rule covers.

A pause is the mode `allow` with an end. Rules stay in force in each mode.
"""

import re
from datetime import datetime

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.local_time import tell_time
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.output.lines import print_line, print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import MAX_MODE_S, ModeState, SetMode
from tinysnitch.view.answer_notice import ASKING_AGAIN, HOW_TO_END, tell_mode

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TIME = re.compile(r"([0-9]{1,6})([smh])")


class Duration(click.ParamType[int]):
    """Seconds, written as `30s`, `10m` or `2h`."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        written = _TIME.fullmatch(str(value))
        seconds = int(written[1]) * _SECONDS[written[2]] if written else 0
        if not 0 < seconds <= MAX_MODE_S:
            raise BadTime(str(value), param, ctx)
        return seconds


class BadTime(click.BadParameter):
    def __init__(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> None:
        super().__init__(f"{value[:20]!r} is no time from 1s to {_format_hours(MAX_MODE_S)}", ctx, param)
        self.hint = "write seconds, minutes or hours as 30s, 10m or 2h; `tinysnitch mode` without --for has no end"


def _format_hours(seconds: float) -> str:
    return f"{seconds / _SECONDS['h']:g}h"


@click.command(
    "pause", epilog=examples("tinysnitch pause", "tinysnitch pause 30s", "tinysnitch resume", "tinysnitch learned")
)
@click.argument("time", type=Duration(), default="10m")
@socket_option
@json_option
def pause_command(time: int, socket_path: str, as_json: bool) -> None:
    """Let pass for TIME (10m, if left out; s, m or h) what no rule covers, without asking.

    Rules stay in force: what they deny is denied, and what they ask about is asked. What passed only for the pause is
    listed as rules, to be looked through afterwards.
    """
    _set(SetMode(Verdict.ALLOW, time), socket_path, as_json)


@click.command("resume", epilog=examples("tinysnitch resume"))
@socket_option
@json_option
def resume_command(socket_path: str, as_json: bool) -> None:
    """End a pause: people are asked again about what no rule covers, also what passed in the pause."""
    _set(SetMode(Verdict.ASK), socket_path, as_json)


@click.command("mode", epilog=examples("tinysnitch mode deny --for 8h", "tinysnitch mode allow", "tinysnitch mode ask"))
@click.argument("word", metavar="ask|allow|deny", type=click.Choice([verdict.value for verdict in Verdict]))
@click.option(
    "--for", "time", type=Duration(), help="How long: 30s, 10m or 2h. Without it, until the machine starts anew."
)
@socket_option
@json_option
def mode_command(word: str, time: int | None, socket_path: str, as_json: bool) -> None:
    """Have what no rule covers asked about, allowed, or denied without a question. `tinysnitch status` shows it."""
    verdict = Verdict(word)
    if time is not None and verdict is Verdict.ASK:
        raise click.UsageError("`ask` has no end: leave --for out", click.get_current_context())
    _set(SetMode(verdict, time), socket_path, as_json)


def _set(request: SetMode, socket_path: str, as_json: bool) -> None:
    with ControlClient(socket_path) as client:
        state = client.ask_one(request, ModeState)
    if as_json:
        print_object(encode_object(state))
        return
    print_line(present_state(state))
    for note in present_notes(state):
        print_note(note)


def present_state(state: ModeState) -> str:
    if state.mode is Verdict.ASK:
        return ASKING_AGAIN if state.was is not Verdict.ASK else "nothing to end: people are asked as always"
    return tell_mode(state.mode, state.left_s) + HOW_TO_END


def present_notes(state: ModeState) -> list[str]:
    notes = [] if state.until is None else [f"people are asked again at {_present_moment(state.until)}"]
    if state.decided:
        questions = "1 question that was open is" if state.decided == 1 else f"{state.decided} open questions are"
        notes.append(f"{questions} {'allowed' if state.mode is Verdict.ALLOW else 'denied'} by it")
    if state.learned_rules:
        passed = "passed only for the pause" if state.mode is Verdict.ASK else "passes only for that"
        notes.append(f"`tinysnitch learned` lists what {passed}")
    return notes


def _present_moment(until: str) -> str:
    """The time of day here."""
    is_today = datetime.fromisoformat(until).astimezone().date() == datetime.now().astimezone().date()
    return tell_time(until) if is_today else f"{tell_time(until)} tomorrow"
