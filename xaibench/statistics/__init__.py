"""Arrays in, ``Estimate`` or numbers out: what is known of a figure, and how sure."""
