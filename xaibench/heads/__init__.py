"""Attention heads against what is known of a sequence: association, and what their loss does."""
