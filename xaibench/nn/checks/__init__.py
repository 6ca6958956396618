"""What a model has to satisfy before its outputs are used."""
