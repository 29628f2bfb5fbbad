"""How far something is, as a line of text that is never wider than the terminal."""

from collections.abc import Mapping, Sequence

from genmod.cli.columns import cells, cut

__all__ = ["Piece", "clock", "fitted", "gauge", "results", "shown", "time_left"]

Piece = tuple[str, str]
"""A text and its style, a name of Rich; empty for none."""

_GAP = "  "
_WIDEST_BAR, _NARROWEST_BAR = 40, 5


def clock(seconds: float) -> str:
    """A duration.

    Example:
        >>> clock(7.4), clock(83), clock(7384)
        ('0:07', '1:23', '2:03:04')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shown(value: float) -> str:
    """A loss: two decimals, or three digits of one that is small.

    Example:
        >>> shown(-1234.567), shown(0.0123456), shown(0.0)
        ('-1234.57', '0.0123', '0.00')
    """
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.3g}"


def time_left(done: int, first: int, total: int, seconds: float) -> str:
    """The time that the rest takes if it goes on as it did; empty where nothing is known yet.

    Args:
        done: steps.
        first: step at which the clock began.
        total: steps in the end.
        seconds: since the clock began.
    """
    return f"{clock(seconds / (done - first) * (total - done))} left" if done > first else ""


def gauge(what: str, done: int, total: int, left: str, width: int) -> list[Piece]:
    """A line with a bar, the step of the total, and the time left; in little room, what it is about is cut first.

    Args:
        what: what it is about.
        done: steps.
        total: steps in the end.
        left: the time left, as text.
        width: of the terminal, in letters.

    Example:
        >>> "".join(text for text, _ in gauge("epoch 1.5", 15, 40, "0:09 left", 48))
        'epoch 1.5  ━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌  15/40  0:09 left'
    """
    texts = [f"{done}/{total}", left] if left else [f"{done}/{total}"]
    room = width - sum(len(_GAP) + cells(text) for text in texts)
    label = cut(what, room - _NARROWEST_BAR - len(_GAP))
    if label:
        room -= cells(label) + len(_GAP)
    bar = max(0, min(_WIDEST_BAR, room))
    full = min(bar, round(bar * done / total)) if total else bar
    pieces: list[Piece] = [(f"{label}{_GAP}", "")] if label else []
    pieces += [("━" * full, "cyan"), ("╌" * (bar - full), "dim")]
    return [*pieces, *((f"{_GAP}{text}", "") for text in texts)]


def results(values: Mapping[str, float], validation: Sequence[Piece], width: int) -> list[Piece]:
    """A line with the loss, the validation loss, and as many further terms between them as there is room for.

    Example:
        >>> values = {"loss": 23.0, "rate": 5.891, "distortion": 17.113}
        >>> "".join(text for text, _ in results(values, [("validation 23.10", ""), (" (best)", "bold")], 50))
        'loss 23.00  rate 5.89  validation 23.10 (best)'
    """
    loss = values.get("loss")
    # The ELBO of most objectives is the loss with its sign changed, which says nothing more.
    texts = [
        f"{name} {shown(value)}" for name, value in values.items() if name != "elbo" or value != -(loss or 0)
    ]
    end = sum(cells(text) for text, _ in validation)

    def fits() -> bool:
        return sum(map(cells, texts)) + len(_GAP) * (len(texts) - (not end)) + end <= width

    while len(texts) > 1 and not fits():
        texts.pop()
    front = _GAP.join(texts)
    if not end:
        return [(front, "")]
    return [(front + _GAP if front else "", ""), *validation]


def fitted(pieces: Sequence[Piece], width: int) -> list[Piece]:
    """The pieces, and a dot for what does not fit into one line of that width."""
    found: list[Piece] = []
    for text, style in pieces:
        if cells(text) > width:
            return [*found, (cut(text, width), style)]
        found.append((text, style))
        width -= cells(text)
    return found
