"""The language of the rules file: one rule is one line, and one value.

`Rule` (rule.py) is that value: a verdict, and the columns that must all match. `parse_rule` and `format_rule` (in
rule_line.py) are the way from a line to it and back: what the one writes, the other reads as the same rule.

Each column has a file: remote_column, port_column, protocol_column, program_column. qualifiers.py has those with a
`key=`. A column's spellings are a table of `Form`s (quoting.py), which parser, help and docs/rules.md share. What is
written with quotes is split into `Word`s first.

rule_file.py parses a whole file, and again what an edit changed. list_entries.py reads the lists that
`@NAME` stands for.

Nothing here looks at the machine: a word such as `lan`, a user's name or a link is text. core/policy says what it
means now, and which rule wins. Begin with rule.py, then rule_line.py.
"""
