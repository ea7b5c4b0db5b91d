"""One rule of another firewall on its way to lines of ours.

Each column has alternatives, and a line can say only one of most: so a draft becomes as many rules as there are
combinations. Columns are written as the words of a rule and parsed as any line, so what comes out is a rule, or an
error that tells why not.
"""

from itertools import product

import msgspec

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.quoting import BadWord, quote_word, split_words
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

MAX_RULES = 256  # of one draft


class NotSayable(Exception):
    """Our rules cannot say it; the text is why."""


class Draft(msgspec.Struct, kw_only=True):
    """Words of a rule; an empty list says nothing about its column."""

    name: str  # of the rule there
    verdict: str
    remotes: list[str] = []
    ports: list[str] = []  # one column can have all of them
    protocols: list[str] = []
    programs: list[str] = []
    args: tuple[str, ...] | None = None
    qualifiers: dict[str, list[str]] = {}
    rank: int = 0  # of two rules that both match, there the one of the lower rank wins; of one rank, as here
    remarks: list[str] = []  # how the lines differ from the rule

    def rules(self) -> list[Rule]:
        """Raises NotSayable."""
        keys = list(self.qualifiers)
        columns = [*(self.qualifiers[key] for key in keys), self.remotes or ["-"], self.protocols or ["-"]]
        columns.append(self.programs or ["-"])
        made: list[Rule] = []
        for *values, remote, protocol, program in product(*columns):
            if len(made) >= MAX_RULES:
                raise NotSayable(f"it would be more than {MAX_RULES} lines")
            words = [self.verdict, *(f"{key}={value}" for key, value in zip(keys, values, strict=True))]
            words += [remote, ",".join(self.ports) or "-", protocol, program]
            _check_words(words)
            words += [] if self.args is None else [quote_argument(arg) for arg in self.args] or ["()"]
            made.append(_parse(" ".join(words)))
        return list(dict.fromkeys(made))


def quote_argument(arg: str) -> str:
    """An argument that is read as this very text: `-` and `()` alone mean something else."""
    return f"'{arg}'" if arg in ("-", "()", "*") else quote_word(arg)


def name_word(name: str) -> str:
    """A host name: a quoted word is a name, whatever it looks like. Raises NotSayable."""
    if not name or "'" in name:
        raise NotSayable(f"{quote_word(name)} is no name of a host")
    return f"'{name}'"


def _check_words(words: list[str]) -> None:
    """Raise NotSayable if one is not one word: what was meant for one column could fill others."""
    for word in words:
        try:
            count = len(split_words(word))
        except BadWord:
            count = 0
        if count != 1:
            raise NotSayable(f"{quote_word(word)} is not one word")


def _parse(line: str) -> Rule:
    try:
        return parse_rule(line)
    except RuleSyntaxError as error:
        raise NotSayable(f"{error.problem}: {line}") from None
