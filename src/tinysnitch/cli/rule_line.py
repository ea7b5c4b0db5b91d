"""LINE, the argument of `rules add` and `rules remove`: a rule quoted as one word, or as the several words it has."""

import re

import click

from tinysnitch.core.rules.words import BadWord, quote_word, split_words

_QUALIFIER_NAME = re.compile("[A-Za-z0-9_-]+=")


class LineCommand(click.Command):
    """A command whose options come before LINE: all after its first word belongs to the rule, even what looks like an
    option. If that first word is the whole rule, quoted, options may follow it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = _begins_with_whole_line(args)
        return super().parse_args(ctx, args)


line_argument = click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)


def _begins_with_whole_line(args: list[str]) -> bool:
    """Whether the first word of LINE is a whole rule: it holds a blank, which a verdict does not."""
    words = iter(args)
    for word in words:
        if not word.startswith("-"):
            return len(word.split()) > 1
        if word == "--socket":
            next(words, None)
    return False


def join_words(words: tuple[str, ...]) -> str:
    """The rule as one line. A single word is that line; of several, those that need quotes get back what the shell took
    away."""
    if len(words) == 1:
        return words[0]
    return " ".join(map(_quote_again, words))


def _quote_again(word: str) -> str:
    """Quote the word if the rule's parser would not read it as it is. A word that it does read stays bare, since `*` in
    quotes is no pattern; of a qualifier only the value is quoted, since its name may not be."""
    if _is_itself(word):
        return word
    name = _QUALIFIER_NAME.match(word)
    key = name[0] if name else ""
    return key + quote_word(word.removeprefix(key))


def _is_itself(word: str) -> bool:
    """Whether the rule's parser reads it as one word with this very text."""
    try:
        return [each.text for each in split_words(word)] == [word]
    except BadWord:
        return False
