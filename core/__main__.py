"""``python -m genmod``: the same as the command ``genmod``.

With ``-m``, Python puts the current directory first on the import path. If this directory held the metadata of a
distribution, its code would run as that of an installed plugin, so the entry is removed before plugins are looked for.
A second entry of the same directory stays.
"""

import os
import sys

__all__ = ["main", "path_without_current"]


def path_without_current(path: list[str], *, added: bool) -> list[str]:
    """The import path without the entry that ``python -m`` inserted.

    Args:
        path: ``sys.path``.
        added: whether Python adds such an entry; not with ``-P``, ``-I`` or ``PYTHONSAFEPATH``.
    """
    try:
        current = os.getcwd()
    except OSError:  # it has been deleted
        current = ""
    return path[1:] if added and path and path[0] in ("", current) else path


def main() -> int:
    """Start the console script, found by its entry point: this package does not import its callers."""
    sys.path[:] = path_without_current(sys.path, added=not sys.flags.safe_path)
    from genmod.system.installed import OWN_DISTRIBUTION, installed, is_own

    distribution = installed(OWN_DISTRIBUTION)
    scripts = (
        []
        if distribution is None
        else distribution.entry_points.select(group="console_scripts", name="genmod")
    )
    for script in filter(is_own, scripts):
        return script.load()() or 0
    sys.stderr.write(f"error: {OWN_DISTRIBUTION} is not installed\nhint: pip install {OWN_DISTRIBUTION}\n")
    return 3


if __name__ == "__main__":
    sys.exit(main())
