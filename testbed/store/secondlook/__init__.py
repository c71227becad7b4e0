"""Pages kept smaller in the background: what it sees in them, and when it looks."""
