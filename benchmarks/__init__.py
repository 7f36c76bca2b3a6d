"""Benchmarks: upstream's scheduler and leandask's, side by side."""
