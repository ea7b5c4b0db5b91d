"""What to show, decided without a screen: pure values that every front end renders."""
