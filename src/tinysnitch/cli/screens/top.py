"""`tinysnitch top`: who talks now, with whom, how much; on a page of its own, or as lines."""

import time

import click
import msgspec

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.commandline.notes import print_note
from tinysnitch.output.lines import find_output, print_lines, print_object
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.protocol.messages import TrafficEntry, TrafficTold

ONCE_S = 3.0  # as long as a rate is the mean of


@click.command("top", epilog=examples("tinysnitch top", "tinysnitch top --once", "tinysnitch top --json | jq .program"))
@click.option("--once", is_flag=True, help="Look for three seconds, print what was seen, and end.")
@socket_option
@json_option
def top_command(once: bool, socket_path: str, as_json: bool) -> int:
    """Show which programs talk now, with whom, and how much.

    It is the live page of the program that opens without a command. With --json each line is what was counted of
    connections that are alike since the last time, until Ctrl-C.
    """
    if as_json:
        _stream(socket_path, ONCE_S if once else None)
    elif once:
        _print_once(socket_path)
    else:
        from tinysnitch.tui.pages.pages_app import run_pages
        from tinysnitch.view.pages.tabs import PageName

        return run_pages(socket_path, PageName.LIVE)
    return 0


def _stream(socket_path: str, seconds: float | None) -> None:
    with ControlClient(socket_path) as client:
        for told in client.watch(seconds, find_output()):
            if isinstance(told, TrafficEntry):
                fields = msgspec.structs.asdict(told)
                fields["first"], fields["last"] = format_time(told.first), format_time(told.last)
                print_object(encode_object({"type": "traffic_entry", **fields}))


def _print_once(socket_path: str) -> None:
    from tinysnitch.view.live.live_page import LivePage
    from tinysnitch.view.live.plain import tell_traffic
    from tinysnitch.view.live.seen import TrafficSeen

    page = LivePage()
    entries: list[TrafficEntry] = []
    with ControlClient(socket_path) as client:
        for told in client.watch(ONCE_S):
            if isinstance(told, TrafficTold):
                page.see(TrafficSeen(tuple(entries), told.until, told.left_out))
                entries = []
            else:
                entries.append(told)
        sees_all = client.sees_all
    if page.traffic.meters:
        print_lines(tell_traffic(page, time.time()))
    else:
        print_note(f"nobody talked in {ONCE_S:g} s{'' if sees_all else ', as far as you may see'}")
