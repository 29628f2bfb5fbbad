"""Reproductions: published experiments, with what their papers found."""

from genmod.plugins._table import tables_in

__all__ = ["COMPONENTS"]

COMPONENTS = tables_in("reproduction", __file__)
