"""Statistical comparison of simulated with real tiles."""
