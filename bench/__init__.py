"""Measurements: ratios of two things in one run, never a timed test."""
