"""Builds what is handed out: `python -m release`, which is `make release`. Read __main__.py first."""
