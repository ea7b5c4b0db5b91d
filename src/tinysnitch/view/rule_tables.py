"""The grammar of rules as Markdown tables, rendered from the tables that the parser reads."""

from collections.abc import Iterable

from tinysnitch.core.program_text import ARGS_FORMS
from tinysnitch.core.rule_qualifiers import QUALIFIERS
from tinysnitch.core.rule_text import COLUMNS, VERDICT


def render_rule_tables() -> dict[str, str]:
    """One table for each column, by its name, and one for the qualifiers."""
    columns = (VERDICT, *COLUMNS)
    tables = {column.name: _render((form.spelling, form.meaning) for form in column.forms) for column in columns}
    tables["args"] = _render(ARGS_FORMS)
    tables["qualifiers"] = _render((qualifier.example, qualifier.meaning) for qualifier in QUALIFIERS.values())
    return tables


def _render(rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| `{spelling}` | {meaning} |" for spelling, meaning in rows]
    return "\n".join(["| write | for |", "|---|---|", *lines])
