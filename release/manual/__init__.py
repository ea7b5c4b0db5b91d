"""The manual: man pages and completion, made of the help of commands, docs/ and README.md. Read __main__.py first."""
