"""Explanations as files that other tools read: a writer per format."""
