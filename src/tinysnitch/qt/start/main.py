"""The command `tinysnitch-prompt`: reads the command line, then waits for questions until the session ends."""

import os
import signal
import sys

import click

from tinysnitch import __version__
from tinysnitch.client.prompt_settings import read_delay_s, read_font_pt
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.named_path import NamedPath
from tinysnitch.commandline.notes import print_note
from tinysnitch.commandline.standard_streams import open_standard_streams
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.framing import DEFAULT_SOCKET
from tinysnitch.protocol.messages import Theme, WindowPosition, WindowSize
from tinysnitch.qt.single_instance import SingleInstance
from tinysnitch.qt.window_options import WindowOptions


@click.command(
    epilog="""\b
Examples:
  tinysnitch-prompt                    wait for questions
  tinysnitch-prompt --demo             show sample questions, without a daemon
  TINYSNITCH_FONTSIZE=20 tinysnitch-prompt

TINYSNITCH_FONTSIZE sets the font size in points, TINYSNITCH_DELAY_SECONDS how long a new question takes no keys."""
)
@click.version_option(__version__, prog_name="tinysnitch-prompt", message="%(prog)s %(version)s")
@click.option(
    "--socket",
    "socket_path",
    type=NamedPath(),
    default=DEFAULT_SOCKET,
    show_default=True,
    help="The control socket of the daemon.",
)
@click.option("--demo", is_flag=True, help="Show sample questions without a daemon.")
@click.option("--monitor", is_flag=True, help="Show who talks, the history and the rules, and ask nothing.")
@click.option(
    "--window",
    type=click.Choice([one.value for one in WindowSize]),
    help="As large as its text, or over the whole screen.  [default: as tinysnitch.toml says, or dialog]",
)
@click.option(
    "--position",
    type=click.Choice([one.value for one in WindowPosition]),
    help="Where a dialog stands; on Wayland the desktop decides.  [default: as tinysnitch.toml says, or middle]",
)
@click.option(
    "--theme",
    type=click.Choice([one.value for one in Theme]),
    help="The colours; auto is as the desktop has it.  [default: as tinysnitch.toml says, or auto]",
)
def tinysnitch_prompt(
    *, socket_path: str, demo: bool, monitor: bool, window: str | None, position: str | None, theme: str | None
) -> int:
    """Show each question in a window, and answer it with a key.

    Waits for questions as long as the session lasts, also through restarts of the daemon. It runs once in each session.
    """
    delay_s, font_pt = read_delay_s(os.environ), read_font_pt(os.environ)
    if not any(os.environ.get(name) for name in ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM")):
        raise SnitchError("there is no screen here: DISPLAY is not set", "in a terminal, use `tinysnitch prompt`")
    lock = SingleInstance(os.environ)
    if not (demo or monitor or lock.claim()):
        print_note("a prompt window already waits in this session")
        return 0
    # Paint without OpenGL, whose libraries would take more memory than all the rest.
    os.environ.setdefault("QT_XCB_GL_INTEGRATION", "none")
    # Else Qt logs a line whenever the keyboard leaves our window, since that has no text field.
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.wayland.textinput=false")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # end at once: there is nothing to restore
    try:
        from tinysnitch.qt.start.application import run_application, run_monitor
    except ImportError as error:
        hint = "the package tinysnitch-window brings it, in a clone `make setup-window`; or ask by `tinysnitch prompt`"
        raise SnitchError(f"Qt does not load: {error}", hint) from error
    options = WindowOptions(
        WindowSize(window) if window else None,
        WindowPosition(position) if position else None,
        Theme(theme) if theme else None,
        font_pt,
    )
    if monitor:
        return run_monitor(socket_path, options)
    return run_application(None if demo else socket_path, delay_s, options)


def main() -> None:
    open_standard_streams()
    sys.exit(run_command(tinysnitch_prompt, "tinysnitch-prompt"))
