"""Models to and from the Hugging Face Hub, with the methods that huggingface_hub gives to models of other libraries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from genmod.errors import UsageError

__all__ = ["Pretrained"]


class Pretrained:
    """The methods ``save_pretrained``, ``from_pretrained`` and ``push_to_hub`` of a model, with the signatures of
    ``huggingface_hub.ModelHubMixin``. They need ``pip install 'genmod-torch[hub]'``.
    """

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        config: Mapping[str, Any] | None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: Mapping[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write the model with its card and pictures, as it goes to the Hub: :func:`genmod.save_pretrained`."""
        # The package hands on what lies on the floors above this one.
        import genmod

        return genmod.save_pretrained(
            self,  # type: ignore[arg-type]
            save_directory,
            config=config,
            repo_id=repo_id,
            push_to_hub=push_to_hub,
            model_card_kwargs=model_card_kwargs,
            **push_to_hub_kwargs,
        )

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> Self:
        """A model of the Hub, ``organisation/model``, or of a folder: :func:`genmod.from_pretrained`.

        Raises:
            UsageError: it is a model of another class.
        """
        import genmod

        model = genmod.from_pretrained(
            pretrained_model_name_or_path,
            force_download=force_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            revision=revision,
            **model_kwargs,
        )
        if not isinstance(model, cls):
            raise UsageError(
                f"{pretrained_model_name_or_path} is a {type(model).__name__}, and no {cls.__name__}",
                hint="load any model with genmod.from_pretrained",
            )
        return model

    def push_to_hub(
        self,
        repo_id: str,
        *,
        config: Mapping[str, Any] | None = None,
        commit_message: str = "Push model using genmod.",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        allow_patterns: list[str] | str | None = None,
        ignore_patterns: list[str] | str | None = None,
        delete_patterns: list[str] | str | None = None,
        model_card_kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        """Send the model to the Hub, with a card: :func:`genmod.push_to_hub`. Gives the address of the commit."""
        import genmod

        return genmod.push_to_hub(
            self,  # type: ignore[arg-type]
            repo_id,
            config=config,
            commit_message=commit_message,
            private=private,
            token=token,
            branch=branch,
            create_pr=create_pr,
            allow_patterns=allow_patterns,
            ignore_patterns=ignore_patterns,
            delete_patterns=delete_patterns,
            model_card_kwargs=model_card_kwargs,
        )
