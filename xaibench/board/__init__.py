"""Runs of many datasets, models and versions on one site."""
