"""Output of evaluations: metrics.json, figures, report.html."""
