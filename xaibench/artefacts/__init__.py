"""The expensive artefacts of a run, each under a spec that says what it is and what it came from.

Whoever holds a spec finds the artefact or makes it.
"""
