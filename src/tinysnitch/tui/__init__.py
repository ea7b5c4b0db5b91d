"""The prompt for the terminal: a thin front end over view and client."""
