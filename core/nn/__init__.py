"""Layers for component authors."""
