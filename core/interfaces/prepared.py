"""Parts of a model that take something from training examples before the first step."""

from torch import Tensor, nn

__all__ = ["Prepared"]


class Prepared(nn.Module):
    """A part that may ask for training examples: a decoder that centres the data, a prior that is made of examples."""

    examples_wanted: int = 0
    """How many training examples :meth:`prepare` is to be given; it is not called where there are none."""

    def prepare(self, examples: Tensor) -> None:
        """Called when a run begins, not when it is resumed, with training examples chosen at random.

        What is taken from them belongs into parameters or buffers, which are saved with the model.

        Args:
            examples: :attr:`examples_wanted` of them, or all where there are fewer, stored as the dataset has them,
                ``(n, *data.shape)``.
        """
        return
