"""The browser that several folders of tests share."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).parents[2] / "browser.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
browser = _module.browser
