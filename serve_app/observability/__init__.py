"""Metrics, recent statistics, traces and logs."""
