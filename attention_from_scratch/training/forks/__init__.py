"""One training in several processes, which share its parameters; the same bits as with threads."""
