"""Someone who takes what a prompt proposes."""

import subprocess
import time

from msgspec.structs import replace

from tests.lab.daemon import Daemon
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.choice import Lifetime
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten
from tinysnitch.view.first_choice import choose_first


def answer_as_proposed(daemon: Daemon, running: subprocess.Popen[str]) -> list[str]:
    """Say yes for ever to what a prompt proposes, until the command is done: the lines of the rules."""
    lines = []
    with ControlClient(str(daemon.socket)) as client:
        while running.poll() is None:
            for shown in client.ask(ListAsks(), PromptShown):
                choice = replace(choose_first(shown.prompt.connection), lifetime=Lifetime.FOREVER)
                lines.append(client.ask_one(GiveAnswer(shown.prompt.prompt_id, choice), RuleWritten).rule)
                break  # it may have answered others
            time.sleep(0.05)
    return lines
