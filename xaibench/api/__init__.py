"""What Python code calls. ``xaibench`` offers the same names, each imported when it is used."""
