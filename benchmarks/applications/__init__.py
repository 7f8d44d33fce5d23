"""Applications that the article names (7.2, 7.3): python -m benchmarks.applications NAME."""
