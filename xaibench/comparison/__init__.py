"""Two runs and more, side by side: what differs, by how much, and whether anything got worse."""
