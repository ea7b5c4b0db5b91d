"""`tinysnitch status`: whether the firewall stands, what waits, and what was lost since the daemon started."""

import os

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.client.control_client import ControlClient
from tinysnitch.output.lines import print_lines, print_object
from tinysnitch.output.tables import find_width, print_cells
from tinysnitch.protocol.framing import encode_object
from tinysnitch.protocol.messages import ReadStatus, Status
from tinysnitch.view.tables.status_view import LABEL_WIDTH, lay_out_status, present_status


@click.command("status", epilog=examples("tinysnitch status", "tinysnitch status --all", "tinysnitch status --json"))
@click.option("--all", "is_whole", is_flag=True, help="On a terminal: all counters and paths, too.")
@socket_option
@json_option
def status_command(is_whole: bool, socket_path: str, as_json: bool) -> int:
    """Show whether the firewall stands, what waits, and what was lost. Exit code 1 if it does not stand."""
    with ControlClient(socket_path) as client:
        status = client.ask_one(ReadStatus(), Status)
    if as_json:
        print_object(encode_object(status))
    elif width := find_width():
        print_cells(lay_out_status(status, os.geteuid(), width, is_whole=is_whole))
    else:
        print_lines(f"{label:<{LABEL_WIDTH}}{text}" for label, text in present_status(status, os.geteuid()))
    return 1 if status.not_enforcing else 0
