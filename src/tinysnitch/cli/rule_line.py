"""LINE, the argument of `rules add` and `rules remove`: a rule in one word, or in as many as the shell made of it."""

import re

import click

from tinysnitch.core.words import BadWord, quote_word, split_words

_QUALIFIER_NAME = re.compile("[A-Za-z0-9_-]+=")


class LineCommand(click.Command):
    """Options stand before LINE: behind its first word all is the rule's, whatever it looks like.

    Where that word is the whole line nothing of the rule can follow, and options may.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_interspersed_args = _begins_with_whole_line(args)
        return super().parse_args(ctx, args)


line_argument = click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)


def _begins_with_whole_line(args: list[str]) -> bool:
    """Whether the first word that is no option of ours holds a blank, as no verdict does."""
    words = iter(args)
    for word in words:
        if not word.startswith("-"):
            return len(word.split()) > 1
        if word == "--socket":
            next(words, None)
    return False


def join_words(words: tuple[str, ...]) -> str:
    """One word is a whole line; of several the shell took the quotes, and those that need some get them back."""
    if len(words) == 1:
        return words[0]
    return " ".join(map(_quote_again, words))


def _quote_again(word: str) -> str:
    """Bare words keep what `*` means in them, and qualifiers their names, which are none in quotes."""
    if _is_itself(word):
        return word
    name = _QUALIFIER_NAME.match(word)
    key = name[0] if name else ""
    return key + quote_word(word.removeprefix(key))


def _is_itself(word: str) -> bool:
    """Whether it is read in a line as the very word that it is."""
    try:
        return [each.text for each in split_words(word)] == [word]
    except BadWord:
        return False
