"""The pages as a window: who talks now, the history, the names and the rules, as in the terminal.

The states are those of view (view/pages, view/live), which take keys and ask the daemon; `MonitorAgent` stands between
them, the daemon and the window, as `PromptAgent` does for questions. `MonitorWindow` shows a table (`TableModel`), what
is told of the selected row, and the keys, which can be clicked; it decides nothing.

The window of questions is another one, and stays in front. No key that is pressed here answers a question.

Begin with monitor_agent.py, then monitor_window.py.
"""
