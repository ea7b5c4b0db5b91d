"""Completion in bash, zsh and fish: the script of each shell, and what its command answers.

A script sends the line up to the cursor in COMP_LINE. Each line of the answer is a way to go on: its kind, the word and
its help, with tabs between. Scripts run the command by its installed name, since the name on the line may be anything.
click's own scripts break words at a comma, and have bash expand a star.
"""

import os
import shlex
from typing import ClassVar

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

from tinysnitch.commandline.typed_line import TypedLine, read_line
from tinysnitch.view.escape import escape_text

PART = "part"  # the kind of a word that goes on: no blank follows it
COMMAND = "command"  # of a command of the machine
FILE = "file"
_BEGINS_A_WORD = "$@"  # break words, and belong to what follows (rl_special_prefixes in bash)

_BASH = """\
# Completion of %(prog_name)s in bash. It asks the command itself.
%(complete_func)s() {
	local kind word help
	COMPREPLY=()
	while IFS=$'\\t' read -r kind word help; do
		case $kind in
		plain) COMPREPLY+=("$word") ;;
		part) COMPREPLY+=("$word") && compopt -o nospace ;;
		dir) compopt -o dirnames ;;
		file) compopt -o default ;;
		command) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
		esac
	done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} COMP_WORDBREAKS=$COMP_WORDBREAKS \\
		%(complete_var)s=bash_complete %(prog_name)s 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_ZSH = """\
#compdef %(prog_name)s
# Completion of %(prog_name)s in zsh. It asks the command itself.
%(complete_func)s() {
	local kind word help
	local -a words_found words_shown parts parts_shown
	while IFS=$'\\t' read -r kind word help; do
		case $kind in
		plain) words_found+=("$word") words_shown+=("${(r:20:)word}${help:+  $help}") ;;
		part) parts+=("$word") parts_shown+=("${(r:20:)word}${help:+  $help}") ;;
		dir) _files -/ ;;
		file) _files ;;
		command) _command_names -e ;;
		esac
	done < <(COMP_LINE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX" \\
		%(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)
	(( ! $#words_found )) || compadd -U -V %(prog_name)s -l -d words_shown -a words_found
	(( ! $#parts )) || compadd -U -V %(prog_name)s -S '' -l -d parts_shown -a parts
}
if [[ $funcstack[1] == _%(prog_name)s ]]; then
	%(complete_func)s "$@"
else
	compdef %(complete_func)s %(prog_name)s
fi
"""
_FISH = """\
# Completion of %(prog_name)s in fish. It asks the command itself.
function %(complete_func)s
	set -l line (commandline -cp)
	for answer in (env COMP_LINE="$line" %(complete_var)s=fish_complete %(prog_name)s 2>/dev/null)
		set -l field (string split \\t -- $answer)
		switch $field[1]
			case plain part
				printf '%%s\\t%%s\\n' $field[2] $field[3]
			case dir
				__fish_complete_directories (commandline -ct)
			case file
				__fish_complete_path (commandline -ct)
			case command
				__fish_complete_command
		end
	end
end
complete --command %(prog_name)s --no-files --keep-order --arguments '(%(complete_func)s)'
"""


class _Shell(ShellComplete):
    """What the three have in common."""

    def get_completion_args(self) -> tuple[list[str], str]:
        self._typed: TypedLine = read_line(os.environ.get("COMP_LINE", ""))
        return self._typed.words[1:], self._typed.word

    def complete(self) -> str:
        args, word = self.get_completion_args()
        return "\n".join(filter(None, map(self.format_completion, self.get_completions(args, word))))

    def format_completion(self, item: CompletionItem[str]) -> str:
        """`kind<TAB>word<TAB>help`; "" for a word that cannot be inserted here, or is not what it looks like: shells
        show it as it is, and a byte that is not UTF-8 would keep all words from being written."""
        word = self.spell(item.value) if escape_text(item.value) == item.value else None
        help_text = escape_text(" ".join((item.help or "").split()))
        return "" if word is None else f"{item.type}\t{word}\t{help_text}"

    def spell(self, word: str) -> str | None:
        """The word as the shell takes it from us; None: it cannot."""
        return word


class Bash(_Shell):
    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH

    def spell(self, word: str) -> str | None:
        """What replaces the text behind the last character at which bash breaks words, or behind an open quote."""
        typed = self._typed
        if typed.quote:
            rest = word.removeprefix(typed.before_quote)
            if typed.quote == "'":
                return rest.replace("'", r"'\''")
            return "".join(f"\\{each}" if each in '$`"\\' else each for each in rest)
        breaks = (each for each in os.environ.get("COMP_WORDBREAKS", "") if not each.isspace())
        ends = (typed.raw.rfind(each) + (each not in _BEGINS_A_WORD) for each in breaks)
        kept = typed.raw[: max([0, *ends])]
        quoted = shlex.quote(word)
        return quoted.removeprefix(kept) if quoted.startswith(kept) else None


class Zsh(_Shell):
    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = _ZSH


class Fish(_Shell):
    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = _FISH


SHELLS: tuple[type[_Shell], ...] = (Bash, Zsh, Fish)


def variable_of(name: str) -> str:
    """The variable by which a script asks a command; click looks for this one."""
    return f"_{name.replace('-', '_')}_COMPLETE".upper()


def use_own_scripts() -> None:
    for shell in SHELLS:
        add_completion_class(shell)
