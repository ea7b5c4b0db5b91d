"""The one table of keys: what each key does, and its words in help and footer. A test compares the README with it."""

from enum import Enum

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Lifetime


class Act(Enum):
    """What a key does besides answering and choosing a lifetime."""

    CYCLE_REMOTE = "cycle remote"
    SWITCH_LEARNED = "switch learned"
    TOGGLE_PORT = "toggle port"
    THESE_ARGS = "these args"
    ANY_ARGS = "any args"
    TOGETHER = "together"
    EDIT = "edit"
    UNDO = "undo"
    NEXT = "next"
    PREVIOUS = "previous"
    LATER = "later"
    HELP = "help"
    LEGEND = "legend"
    LEAVE = "leave"


class Forever(Enum):
    """Answers that hold for ever, whatever lifetime is chosen."""

    ALLOW = "allow"
    DENY = "deny"

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.value)


class ListAct(Enum):
    """What a key does in the list of questions that are answered together."""

    LEAVE_OUT = "leave out"
    DOWN = "down"
    UP = "up"
    PAGE_DOWN = "page down"
    PAGE_UP = "page up"
    WHEEL_DOWN = "wheel down"
    WHEEL_UP = "wheel up"
    END = "end"
    TOP = "top"


class Group(Enum):
    """Headings of the help, in its order."""

    ANSWER = "answer"
    LIFETIME = "how long"
    COVER = "what it covers"
    MOVE = "move"


class Key(msgspec.Struct, frozen=True):
    label: str  # as it is shown
    names: tuple[str, ...]  # by which front ends report it
    group: Group
    effect: Verdict | Forever | Lifetime | Act
    short: str  # for the footer
    meaning: str  # for the help; "" if it stands in the row of the key before


class ListKey(msgspec.Struct, frozen=True):
    label: str
    names: tuple[str, ...]
    act: ListAct
    meaning: str


KEYS = (
    Key("y", ("y",), Group.ANSWER, Verdict.ALLOW, "allow", "allow it, and write the rule that is shown"),
    Key("n", ("n",), Group.ANSWER, Verdict.DENY, "deny", 'deny it: whoever connects gets "Connection refused"'),
    Key("Y", ("Y",), Group.ANSWER, Forever.ALLOW, "allow forever", "allow it, or with N deny it, forever"),
    Key("N", ("N",), Group.ANSWER, Forever.DENY, "deny forever", ""),
    Key("g", ("g",), Group.ANSWER, Act.TOGETHER, "all together", "list this program's questions: y and n answer them"),
    Key("e", ("e",), Group.ANSWER, Act.EDIT, "edit", "edit the rule by hand; Enter answers, Esc goes back"),
    Key("z", ("z",), Group.ANSWER, Act.UNDO, "undo", "take the last answer back, with its rule"),
    Key("o", ("o",), Group.LIFETIME, Lifetime.ONCE, "once", "this one connection only"),
    Key("1", ("1",), Group.LIFETIME, Lifetime.ONE_MINUTE, "min", "for one, three or nine minutes; nine is the default"),
    Key("3", ("3",), Group.LIFETIME, Lifetime.THREE_MINUTES, "min", ""),
    Key("9", ("9",), Group.LIFETIME, Lifetime.NINE_MINUTES, "min", ""),
    Key("2", ("2",), Group.LIFETIME, Lifetime.DAY, "= 24 h", "for 24 hours"),
    Key("u", ("u",), Group.LIFETIME, Lifetime.QUIT, "until it quits", "until the program quits"),
    Key("f", ("f",), Group.LIFETIME, Lifetime.FOREVER, "forever", "forever: a line in the rules file"),
    Key("d", ("d",), Group.COVER, Act.CYCLE_REMOTE, "name", "this name, then its whole domain, then any remote"),
    Key(
        "w", ("w",), Group.COVER, Act.SWITCH_LEARNED, "only this", "only this question, not what was learned; and back"
    ),
    Key("p", ("p",), Group.COVER, Act.TOGGLE_PORT, "port", "this port, or any port"),
    Key("a", ("a",), Group.COVER, Act.THESE_ARGS, "these args", "with exactly these arguments, or j with any"),
    Key("j", ("j",), Group.COVER, Act.ANY_ARGS, "just the path", ""),
    Key("Tab", ("tab", "down", "right"), Group.MOVE, Act.NEXT, "next", "the next question that waits (also ↓ →)"),
    Key("S-Tab", ("shift+tab", "up", "left"), Group.MOVE, Act.PREVIOUS, "back", "the question before (also ↑ ←)"),
    Key("Esc", ("escape",), Group.MOVE, Act.LATER, "later", "put it aside; it stays open until its time ends"),
    Key("h", ("h", "question_mark"), Group.MOVE, Act.HELP, "help", "this help (also ?)"),
    Key("l", ("l",), Group.MOVE, Act.LEGEND, "legend", "what the words on the screen mean"),
    Key("q", ("q", "ctrl+c"), Group.MOVE, Act.LEAVE, "leave", "leave (also Ctrl-C); `make run` ends with it"),
)

# Keys of the list alone: elsewhere a blank belongs to a text, and arrows walk from question to question.
LIST_KEYS = (
    ListKey("Space", ("space", " "), ListAct.LEAVE_OUT, "leave this one out, or take it in again"),
    ListKey("↓", ("down",), ListAct.DOWN, "the next one; n is then for this one alone"),
    ListKey("↑", ("up",), ListAct.UP, "the one before; above the first n is for all again"),
    ListKey("PgDn", ("pagedown",), ListAct.PAGE_DOWN, "the next page (also the mouse wheel)"),
    ListKey("PgUp", ("pageup",), ListAct.PAGE_UP, "the page before"),
    ListKey("End", ("end",), ListAct.END, "the last page; y counts once every page was seen"),
    ListKey("Home", ("home",), ListAct.TOP, "the first page"),
)
_WHEEL = {"wheel down": ListAct.WHEEL_DOWN, "wheel up": ListAct.WHEEL_UP}
_OF_TEXTS = ("space", "backspace")  # named keys that belong to a text; Enter does not, since it ends a text
_HINTS = ("is another keyboard layout on?", "is Caps Lock on?")
_BY_LABEL = {"?": "question_mark"} | {key.label: key.names[0] for key in (*LIST_KEYS, *KEYS)}
_BY_NAME = {name: key for key in KEYS for name in key.names}
_FOREVER = tuple(name for key in KEYS if isinstance(key.effect, Forever) for name in key.names)
_IN_LIST = _WHEEL | {name: key.act for key in LIST_KEYS for name in key.names}
_HIDES = "hide the window (also Ctrl-C); the next question brings it back"
WINDOW_KEYS = tuple(msgspec.structs.replace(key, meaning=_HIDES) if key.effect is Act.LEAVE else key for key in KEYS)
OWN_KEYS = tuple(key for key in KEYS if key.effect is not Act.LEAVE)  # of a guest, which ends with its command only


def find_key(name: str) -> Key | None:
    return _BY_NAME.get(name)


def name_of(label: str) -> str:
    """The name of the key with this label; `?`, Enter and Esc have one, too."""
    return _BY_LABEL.get(label, label.lower())


def find_list_act(name: str) -> ListAct | None:
    """What a key does in the list, where it means something else than elsewhere."""
    return _IN_LIST.get(name)


def is_list_move(name: str) -> bool:
    return find_list_act(name) not in (None, ListAct.LEAVE_OUT)


def is_answer(name: str) -> bool:
    key = find_key(name)
    return key is not None and isinstance(key.effect, Verdict | Forever)


def is_hint(notice: str) -> bool:
    """Whether the notice is one of `hint_at`, which is cleared by the next key that does something."""
    return notice.endswith(_HINTS)


def hint_at(name: str, text: str = "") -> str:
    """Why a key did nothing, if a keyboard layout or Caps Lock seems to be the cause, else "". `text` is the key's
    character, if its name does not tell."""
    char = text or name
    if char.isalpha() and not char.isascii():
        return f"{char} is no key: {_HINTS[0]}"
    is_capital = name.isupper() and name not in _BY_NAME and name.lower() in _BY_NAME
    return f"{name} is no key, {name.lower()} is: {_HINTS[1]}" if is_capital else ""


def suggests_caps_lock(name: str, before: bool) -> bool:
    """Whether Caps Lock seems to be on after this key, if it did so `before`: a letter tells, and of capitals one that
    is no key, since the others are typed with Shift."""
    return name.isupper() if len(name) == 1 and name.isalpha() and name not in _FOREVER else before


def without_caps_lock(name: str) -> str:
    """The key that is meant while Caps Lock seems to be on: one that answers forever takes Shift."""
    return name.lower() if name in _FOREVER else name


def is_chord(name: str) -> bool:
    """Whether a key was pressed together with Ctrl, Alt or the like, which make a command of it."""
    return name.startswith(("alt+", "ctrl+", "hyper+", "meta+", "super+"))


def is_of_text(name: str, text: str = "") -> bool:
    """Whether a key is not ours, and so belongs to a text that a person types, perhaps for another window."""
    char = text or name
    is_typed = (len(char) == 1 and char.isprintable()) or name in _OF_TEXTS
    return is_typed and name not in _BY_NAME and not is_chord(name) and not hint_at(name, text)


def keys_of(group: Group) -> tuple[Key, ...]:
    return tuple(key for key in KEYS if key.group is group)
