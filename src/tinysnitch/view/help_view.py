"""The pages behind `h` and `l`: rows of a heading, a word and what it means."""

import msgspec

from tinysnitch.view.keys import KEYS, LIST_KEYS, Group, Key
from tinysnitch.view.prompt_state import Page


class HelpRow(msgspec.Struct, frozen=True):
    heading: str  # "" if it is that of the row above
    word: str
    meaning: str


_IN_LIST = (
    HelpRow("the list", "y", "allow all but those left out, once each name was seen"),
    HelpRow("", "n", "deny them; with the cursor on one, that one alone"),
    HelpRow("", "g", "only the one question again (also Esc)"),
)
_LEGEND = (
    ("path", "the program's file; of a script, the script itself"),
    ("known as", "its name on the desktop, where root alone can give it one"),
    ("started as", "the link to that file by which it was started"),
    ("program", "shown where there is no process: kernel, or unknown"),
    ("arguments", "what it was started with"),
    ("run by", "the interpreter that runs the script"),
    ("package", "the installed package that owns the file"),
    ("sha256", "the file's checksum, if no package owns it, or while you edit"),
    ("parents", "the programs that started it, the nearest first"),
    ("user", "the user that the program runs as"),
    ("belongs to", "its systemd unit, container or app (by its cgroup)"),
    ("name", "the name whose lookup gave the address"),
    ("address", "the address of the other side"),
    ("by way of", "further names that this lookup went through (CNAME)"),
    ("asks for", "the name in a question to a DNS server"),
    ("also named", "other names that have the same address"),
    ("port", "outbound theirs, inbound ours, with its usual service"),
    ("protocol", "shown where there are no ports: icmp, or a number"),
    ("direction", "outbound: the program connects; inbound: others connect to it"),
    ("colour", "also bold: what the rule covers; the rest may be anything"),
    ("!", "a warning: something to know before you answer"),
    ("rule", "the very line that y writes; n writes it with deny, or its own"),
    ("-", "in a rule: any"),
    ("until=", "in a rule: when it ends; without it forever, unless u or o is on"),
    ("then deny", "without an answer it is denied when its time is over"),
)
_ON_A_SCREEN = ("colour", "!")


def help_pages(
    keys: tuple[Key, ...] = KEYS, *, more: tuple[HelpRow, ...] = (), is_plain: bool = False
) -> dict[Page, tuple[str, tuple[HelpRow, ...]]]:
    """Title and rows of each page. `more`: keys of the front end itself. `is_plain`: for a prompt without colours and
    bar."""
    return {
        Page.HELP: ("keys", (*present_help(keys), *more)),
        Page.LIST_HELP: ("keys of the list", present_list_help(keys)),
        Page.LEGEND: ("what the words mean", present_legend(is_plain=is_plain)),
    }


def present_help(keys: tuple[Key, ...] = KEYS) -> tuple[HelpRow, ...]:
    rows: list[HelpRow] = []
    heading = ""
    for key in keys:
        if not key.meaning:
            rows[-1] = msgspec.structs.replace(rows[-1], word=f"{rows[-1].word} {key.label}")
            continue
        rows.append(HelpRow("" if key.group.value == heading else key.group.value, key.label, key.meaning))
        heading = key.group.value
    return tuple(rows)


def present_list_help(keys: tuple[Key, ...] = KEYS) -> tuple[HelpRow, ...]:
    """The help while questions are listed: the keys that mean something else there come first."""
    moves = (HelpRow("", key.label, key.meaning) for key in LIST_KEYS)
    chosen = (key for key in keys if key.group in (Group.LIFETIME, Group.COVER))
    return (*_IN_LIST, *moves, *present_help(tuple(chosen)))


def present_legend(*, is_plain: bool = False) -> tuple[HelpRow, ...]:
    return tuple(HelpRow("", word, meaning) for word, meaning in _LEGEND if not (is_plain and word in _ON_A_SCREEN))
