"""Simulated tiles against real ones, statistic by statistic."""
