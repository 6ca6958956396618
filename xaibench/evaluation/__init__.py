"""What metrics make of the stored artefacts."""
