"""Scores as files and pages: metrics.json, figures, report.html."""
