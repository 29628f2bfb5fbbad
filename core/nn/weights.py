"""Initial weights from a file: read when a model is built, and not when its own weights follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor

from genmod.errors import FileError, quoted

__all__ = ["initial_weights", "weights_follow", "weights_wanted"]

_following: ContextVar[bool] = ContextVar("genmod_weights_follow", default=False)


@contextmanager
def weights_follow() -> Iterator[None]:
    """Inside, parts are built whose weights are loaded afterwards, so that files of initial weights are not needed.

    Example:
        >>> with weights_follow():
        ...     print(initial_weights(Path("long-gone.safetensors")))
        None
    """
    token = _following.set(True)
    try:
        yield
    finally:
        _following.reset(token)


def weights_wanted() -> bool:
    """Whether a part that is built is to fill itself with weights: not on torch's ``meta`` device, nor where its own follow.

    Example:
        >>> with weights_follow():
        ...     weights_wanted()
        False
    """
    return not _following.get() and not torch.empty(0).is_meta


def initial_weights(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a ``.safetensors`` file, by name.

    Returns:
        None where nothing is to be filled: on torch's ``meta`` device, where the file has to exist all the same, and
        inside :func:`weights_follow`, where it need not.

    Raises:
        FileError: it does not exist, is damaged, or is of a format that may hold code.
    """
    if _following.get():
        return None
    path = path.expanduser()
    if path.suffix != ".safetensors":
        raise FileError(
            f"{path} is not a .safetensors file; other formats of weights may hold code and are not read",
            hint="convert it, if you trust it:\n"
            '  python -P -c "import sys, torch, safetensors.torch as s; '
            's.save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])"'
            f" {quoted(path)} {quoted(path.with_suffix('.safetensors'))}",
        )
    if not path.is_file():
        raise FileError(f"there is no file of weights {path}", hint="give the path of a .safetensors file")
    if torch.empty(0).is_meta:
        return None
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # The library gives them in another order each time.
        return dict(sorted(load_file(path, device="cpu").items()))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is damaged: {error}", hint="get it again from where it came from") from None
