"""The findings as entries: state and name, and what was found; below a thing that lacks, what follows and what mends
it."""

from tinysnitch.doctor.finding import Finding, State
from tinysnitch.output.tables import find_width, print_cells
from tinysnitch.view.span import Span, Weight
from tinysnitch.view.tables.entries import Entry, Paragraph, lay_out_entries

_WIDTH = 79  # where the output is no terminal's
_INDENT = 26
_STATE_WIDTH = 8
_WEIGHTS = {State.OK: Weight.GOOD, State.NOTE: Weight.WARNING, State.ROOT: Weight.QUIET, State.LACKING: Weight.BAD}


def entry_of(finding: Finding) -> Entry:
    state = Span(f"{finding.state.value:<{_STATE_WIDTH}}", weight=_WEIGHTS[finding.state])
    rest = Weight.QUIET if finding.state is State.ROOT else Weight.PLAIN
    texts = ((finding.text, ""), (finding.follows, "so "), (finding.mend, "hint: "))
    said = tuple(Paragraph(text, lead, rest) for text, lead in texts)
    return Entry((state, Span(finding.name, weight=rest)), said)


def summarize(findings: list[Finding]) -> str:
    lacking = [finding.name for finding in findings if finding.state is State.LACKING]
    hidden = sum(finding.state is State.ROOT for finding in findings)
    what = f"lacking: {', '.join(lacking)}" if lacking else "nothing lacks"
    unseen = f", as far as you may see; `sudo tinysnitch doctor` tells {hidden} more" if hidden else ""
    return what + unseen


def print_report(findings: list[Finding]) -> None:
    width = (find_width() or _WIDTH + 1) - 1
    rows = lay_out_entries(map(entry_of, findings), _INDENT, width)
    worst = State.LACKING if any(finding.state is State.LACKING for finding in findings) else State.OK
    print_cells([*rows, (Span(summarize(findings), weight=_WEIGHTS[worst]),)])
