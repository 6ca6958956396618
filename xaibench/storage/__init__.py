"""Files of a run folder, read and written as if it came from a stranger or from a failing disk."""
