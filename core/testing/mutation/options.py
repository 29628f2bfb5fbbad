"""The fault of any component with options: one of them changes nothing."""

import functools
from typing import Any

from genmod.options.schema import REQUIRED, options_of
from genmod.testing.mutation.mutator import Attributes, Mutator, Seen

__all__ = ["without_options"]


def without_options(cls: Any, kind: str) -> list[Mutator]:
    """A mutator for each option of a class, by which its value is ignored; no check can know what an option is for."""

    def ignoring(name: str, cls: Any, seen: Seen) -> Attributes:
        original = cls.__init__

        @functools.wraps(original)
        def __init__(self: Any, *args: Any, **options: Any) -> None:
            default = next(option.default for option in options_of(cls) if option.name == name)
            if name in options:
                seen(options[name], default)
                options = {key: value for key, value in options.items() if key != name}
            original(self, *args, **options)

        return {"__init__": __init__}

    return [
        Mutator(f"option {option.name} is ignored", (kind,), (), functools.partial(ignoring, option.name))
        for option in options_of(cls)
        if option.default is not REQUIRED
    ]
