"""A prompt's view as plain lines, in the order in which they are best read aloud."""

from tinysnitch.view.help_view import HelpRow
from tinysnitch.view.prompt_view import PromptView
from tinysnitch.view.segment import text_of
from tinysnitch.view.text import shorten_middle

MAX_VALUE = 400  # columns; nobody listens to more
MAX_RULE = 800


def question_lines(view: PromptView) -> list[str]:
    facts = [f"{line.label}: {shorten_middle(line.text, MAX_VALUE)}" for line in view.lines]
    warnings = [f"warning: {warning}" for warning in view.warnings]
    asked = f"asked because {view.reason}; {view.seconds_left} seconds left, then it is denied"
    title = f"{view.waiting}: {shorten_middle(view.title, MAX_VALUE)}"
    return ["", title, *facts, *warnings, asked, *rule_lines(view)]


def rule_lines(view: PromptView) -> list[str]:
    """What y would write; n writes the same with deny."""
    return [f"rule: {shorten_middle(text_of(view.rule), MAX_RULE)}", f"holds: {view.lifetime}"]


def ready_line(view: PromptView) -> str:
    """Said when keys begin to count."""
    hints = [hint for row in view.hints for hint in row]
    return "keys: " + ", ".join(f"{hint.label} {hint.text}" for hint in hints if hint.label in ("y", "n", "h"))


def help_lines(rows: tuple[HelpRow, ...]) -> list[str]:
    return ["", *(f"{row.word}: {row.meaning}" for row in rows), "any key goes back"]
