"""Asymmetric Laplace likelihood and prior for genmod."""
