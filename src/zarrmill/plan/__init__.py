"""Planning: pure functions from shapes and limits to frozen plans."""
