"""A person who accepts what each prompt proposes."""

import subprocess
import time

from msgspec.structs import replace

from tests.lab.daemon import Daemon
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.protocol.messages import GiveAnswer, ListAsks, PromptShown, RuleWritten


def answer_as_proposed(daemon: Daemon, running: subprocess.Popen[str]) -> list[str]:
    """Answer each prompt with yes, forever, and its proposed rule, until the command ends; the rule lines."""
    lines = []
    with ControlClient(str(daemon.socket)) as client:
        while running.poll() is None:
            for shown in client.ask(ListAsks(), PromptShown):
                choice = replace(shown.prompt.proposal, lifetime=Lifetime.FOREVER)
                lines.append(client.ask_one(GiveAnswer(shown.prompt.prompt_id, choice), RuleWritten).rule)
                break  # list them anew: the rule may have answered others of these
            time.sleep(0.05)
    return lines
