"""What is asked of a model before anything is made of its answers."""
