"""The prompt's window: a thin front end over view and client."""
