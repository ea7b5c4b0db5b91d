"""A line that somebody still types, as a shell reads it: its words, the one at the cursor, and what is open in that."""

from dataclasses import dataclass, field

_ESCAPED_IN_DOUBLE = '$`"\\'  # POSIX 2.2.3


@dataclass
class TypedLine:
    words: list[str] = field(default_factory=list)  # those that are complete, without their quotes
    word: str = ""  # the one at the cursor, without quotes
    raw: str = ""  # the same, as it stands there
    quote: str = ""  # the one that is open in it
    before_quote: str = ""  # of `word`, what stands before the open quote


def read_line(line: str) -> TypedLine:
    typed, position = TypedLine(), 0
    while position < len(line):
        character, following = line[position], line[position + 1 : position + 2]
        if character in " \t\n" and not typed.quote:
            if typed.raw:
                typed.words.append(typed.word)
            typed.word = typed.raw = ""
            position += 1
            continue
        is_escape = character == "\\" and (not typed.quote or (typed.quote == '"' and following in _ESCAPED_IN_DOUBLE))
        taken = character + following if is_escape else character
        typed.raw += taken
        position += len(taken)
        if is_escape:
            typed.word += following
        elif character == typed.quote:
            typed.quote = ""
        elif character in "'\"" and not typed.quote:
            typed.quote, typed.before_quote = character, typed.word
        else:
            typed.word += character
    return typed
