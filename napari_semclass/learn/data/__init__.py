"""How labelled pictures are read: from folders, or from a table that any program may have written."""
