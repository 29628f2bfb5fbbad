"""Asymmetric Laplace likelihood and Laplace prior for genmod."""
