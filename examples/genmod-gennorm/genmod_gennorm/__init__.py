"""Generalised normal likelihood for genmod."""
