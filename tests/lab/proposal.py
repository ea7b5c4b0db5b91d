"""Someone who takes what a prompt proposes."""

import subprocess
import time

from tests.lab.daemon import Daemon
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.first_choice import choose_first_for_ever
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten


def answer_as_proposed(daemon: Daemon, running: subprocess.Popen[str]) -> list[str]:
    """Say yes for ever to what a prompt proposes, until the command is done: the lines of the rules."""
    lines = []
    with ControlClient(str(daemon.socket)) as client:
        while running.poll() is None:
            for shown in client.ask(ListAsks(), PromptShown):
                choice = choose_first_for_ever(shown.prompt.connection)
                lines.append(client.ask_one(GiveAnswer(shown.prompt.prompt_id, choice), RuleWritten).rule)
                break  # it may have answered others
            time.sleep(0.05)
    return lines
