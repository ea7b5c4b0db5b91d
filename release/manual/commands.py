"""Commands as roff, from what click knows of them: usage, help, options, subcommands and examples."""

import re
from collections import Counter
from collections.abc import Iterator

import click

from release.manual import roff

HELP_NAMES = ["-h", "--help"]
Record = tuple[str, str]  # an option with the name of its value, and what it does
_METAVAR = re.compile(r"\b[A-Z]{2,}\b")


def make_context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, help_option_names=HELP_NAMES)


def walk(context: click.Context) -> Iterator[click.Context]:
    """All commands below this one, each group before what is in it."""
    command = context.command
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            sub = make_context(child, name, context)
            yield sub
            yield from walk(sub)


def options_of(context: click.Context) -> list[Record]:
    records = (
        param.get_help_record(context)
        for param in context.command.get_params(context)
        if isinstance(param, click.Option)
    )
    return [record for record in records if record]


def summary_of(command: click.Command) -> str:
    """For the section NAME: the first sentence of the help, as a clause."""
    first = _paragraphs(command.help)[0].partition(". ")[0].removesuffix(".")
    return first[:1].lower() + first[1:]


def describe_command(context: click.Context) -> list[str]:
    """The sections SYNOPSIS to COMMANDS."""
    subs = list(walk(context))
    common = common_options(subs)
    is_group = isinstance(context.command, click.Group)
    lines = [*roff.heading("synopsis"), *_synopsis(context, options_of(context))]
    if is_group:
        usage = roff.bold(context.info_name or "")
        lines += [
            ".br",
            f"{usage} {roff.italic('COMMAND')} [{roff.italic('OPTION')} ...] [{roff.italic('ARGUMENT')} ...]",
        ]
    lines += [*roff.heading("description"), *_help(context)]
    lines += [*roff.heading("options"), *_describe_options(options_of(context))]
    if common:
        lines += [
            *roff.paragraph("Nearly every command also takes these, behind its name:"),
            *_describe_options(common),
        ]
    if subs:
        lines += roff.heading("commands")
    for sub in subs:
        lines += _describe_sub(sub, common)
    return lines


def describe_examples(command: click.Command) -> list[str]:
    """The end of the help, which has the examples: the section of that name, and what else is told there."""
    return list(_epilog(command, roff.heading("examples")))


def common_options(contexts: list[click.Context]) -> list[Record]:
    """What more than half of the commands take, and mean by it the same."""
    counts = Counter(record for context in contexts for record in options_of(context))
    return [record for record, count in counts.items() if count * 2 > len(contexts)]


def _describe_sub(context: click.Context, common: list[Record]) -> Iterator[str]:
    root = context.find_root().info_name or ""
    yield from roff.subheading(context.command_path.removeprefix(f"{root} "))
    own = [record for record in options_of(context) if record not in common]
    yield from _synopsis(context, options_of(context))
    yield from _help(context)
    yield from _describe_options(own)
    yield from _epilog(context.command, roff.paragraph("Examples:"))


def _synopsis(context: click.Context, options: list[Record]) -> list[str]:
    words = [roff.bold(context.command_path)]
    words += [
        f"[{_spell(option)}]" for option, _help in options if "--help" not in option and "--version" not in option
    ]
    words += [_spell_argument(param, context) for param in context.command.params if isinstance(param, click.Argument)]
    return [".PP", *(roff.protect(_unbroken(word)) for word in words)]


def _unbroken(word: str) -> str:
    """An option and its value stay on one line."""
    return word.replace(" ", "\\ ")


def _spell_argument(param: click.Argument, context: click.Context) -> str:
    return roff.italic(param.make_metavar(context))


def _spell(option: str) -> str:
    """`-h, --help`, `--for [once|1m]`: what is written as it is bold, the rest italic."""
    words = option.replace("[", "").replace("]", "").split(" ")
    return " ".join(
        roff.bold(word.removesuffix(",")) + ("," if word.endswith(",") else "")
        if word.startswith("-") or word == "/"
        else roff.italic(word)
        for word in words
        if word
    )


def _describe_options(options: list[Record]) -> Iterator[str]:
    for option, text in options:
        yield from roff.tagged(_spell(option), mark_text(text))


def _help(context: click.Context) -> Iterator[str]:
    arguments = {
        param.make_metavar(context).strip("[].")
        for param in context.command.params
        if isinstance(param, click.Argument)
    }
    for each in _paragraphs(context.command.help):
        yield from roff.paragraph(mark_text(each, arguments))


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(each.split()) for each in (text or "").split("\n\n")]


def mark_text(text: str, arguments: frozenset[str] | set[str] = frozenset()) -> str:
    """What stands between backticks is bold, and the names of arguments are italic."""
    parts = text.split("`")
    return "".join(roff.bold(part) if number % 2 else _mark(part, arguments) for number, part in enumerate(parts))


def _mark(text: str, arguments: frozenset[str] | set[str]) -> str:
    marked, end = "", 0
    for found in _METAVAR.finditer(text):
        if found[0] in arguments:
            marked += roff.escape(text[end : found.start()]) + roff.italic(found[0])
            end = found.end()
    return marked + roff.escape(text[end:])


def _epilog(command: click.Command, heading: list[str]) -> Iterator[str]:
    for block in (command.epilog or "").split("\n\n"):
        first, *lines = block.split("\n")
        if first == "\b":
            yield from heading
            yield from roff.literal([line.removeprefix("  ") for line in lines[1:]])
        elif block.strip():
            yield from roff.paragraph(mark_text(" ".join(block.split())))
