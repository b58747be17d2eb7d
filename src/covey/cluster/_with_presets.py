"""Estimators that can be made with published settings."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from covey.errors import UnknownNameError


class WithPresets:
    """Base of the estimators whose published settings have names."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    @classmethod
    def from_preset(cls, preset: str, **changes: Any) -> Self:
        """Make an estimator with published settings.

        Parameters
        ----------
        preset : str
            A name of the method's presets; its page in the documentation lists them with their sources.
        **changes
            Parameters that differ from the preset, `n_clusters` for one.

        Returns
        -------
        estimator : WithPresets
            Of the class that was asked, not fitted.

        Raises
        ------
        UnknownNameError
            If there is no such preset.
        """
        if preset not in cls.presets:
            known = ", ".join(cls.presets) or "none"
            raise UnknownNameError(f"Unknown preset {preset!r} of {cls.__name__}. There are: {known}.")
        return cls(**{**cls.presets[preset], **changes})
