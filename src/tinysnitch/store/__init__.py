"""Files that outlive the daemon: rules, lists, history, and what one daemon leaves to the next.

`RulesFile` (rules_file.py) is the file that people edit too: read whole, changed line by line, under a lock (locks.py)
and never in the middle of somebody's editing. `RuleGroups` (rule_groups.py) are more such files. `TemporaryRules` are
in the state folder, as `LearnedRules` and `History` (SQLite) are. handover_files.py has what a daemon leaves to its
successor of the same boot. Settings that people write in TOML are read by toml_file.py.

Inside, `traffic` has the sums of the history, by hour and day.

A long list is compiled by a process of its own (list_compiler.py) into a file that is mapped (compiled_list.py,
remote_set.py).

All writing goes through whole_file.py: at every moment a reader finds the old content or the new one, and an OSError
becomes a SnitchError that names the path. file_stamp.py tells one state of a file from another, file_watch.py says when
a file may have changed, and rule_paths.py where the paths in rules lead.

A full or broken disk never keeps a verdict waiting: history and learned rules count what they lose. Begin with
whole_file.py, then rules_file.py.
"""
