"""What the leaderboard goes by."""

PRIMARY = "deletion_logit_difference"
"""The metric of the leaderboard."""
