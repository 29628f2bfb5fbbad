"""Formulas as MathML, which browsers draw themselves: no script, and nothing loaded from elsewhere."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

__all__ = ["setup"]

_APPLIED = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*(?:<mrow>\s*)?<mo[^>]*>\()")
"""Between the name of a function and what it is applied to without parentheses, browsers leave no space."""
_NORM = re.compile(r"<mo((?: (?!stretchy)[^>]*)?)>‖</mo>")
"""Bars of a norm would grow with the exponent after them."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(self: Any, node: nodes.Element) -> None:
    self.body.append(_drawn(node.astext(), block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.Element) -> None:
    self.body.append(f'<div class="math">{_drawn(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def _drawn(formula: str, *, block: bool) -> str:
    # Both digits would become the numerator.
    if re.search(r"frac\s*\d\d", formula):
        raise ExtensionError(f"formula {formula!r}: write \\frac{{1}}{{2}}")
    try:
        drawn = str(tex2mathml(formula, as_block=block))
    except (MathError, SyntaxError, ValueError) as error:
        raise ExtensionError(f"formula {formula!r}: {error}") from error
    return _NORM.sub(r'<mo stretchy="false"\1>‖</mo>', _APPLIED.sub('<mspace width="0.17em"/>', drawn))
