"""How sure a run is of what it says: tests, ranks, components of variance, what n can show."""
