"""The encoders of a site: image statistics, and those whose folders the settings name. Implements `ports.Encoders`.

Torch and what stands on it are imported only when an encoder with weights is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from services.embedding.adapters.encoder_folders import EncoderFolder, read_encoder_folder
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.ports import Encoder
from shared.errors import FailedPrecondition, MedqError, NotFound
from shared.limits import STATISTICS

_N_DIGITS = 16


class SiteEncoders:
    """Encoders by name.

    Args:
        folders: Name to folder.
        is_int8_used: Take the image tower in whole numbers where a folder has one.
        device: "cpu", "cuda", or "auto" for a GPU if there is one.
    """

    def __init__(self, folders: Mapping[str, Path], is_int8_used: bool = True, device: str = "auto") -> None:
        self._folders = folders
        self._is_int8_used = is_int8_used
        self._device = device
        self._lock = threading.Lock()
        self._loaded: dict[str, Encoder] = {STATISTICS: StatisticsEncoder()}

    def require(self, name: str) -> None:
        """See the port."""
        known = self._names(name)[0]
        if known not in self._loaded:
            read_encoder_folder(self._folders[known])

    def get(self, name: str) -> Encoder:
        """See the port."""
        found = [self._load_once(known) for known in self._names(name)]
        same = [encoder for encoder in found if encoder.encoder_id == name]
        if not same and name not in ("", STATISTICS, *self._folders):
            raise NotFound(
                "This encoder is not there any more: its folder holds another one.",
                field="encoder",
                value=name,
                remedy=f"Put its weights back, or embed the images anew with {found[0].encoder_id}.",
            )
        return (same or found)[0]

    def _names(self, name: str) -> list[str]:
        """The name in the settings, or those that an id may be of, the longest first."""
        known = [STATISTICS, *self._folders]
        if not name or name in known:
            return [name or STATISTICS]
        found = sorted((one for one in known if name.startswith(f"{one}-")), key=len, reverse=True)
        if not found:
            listed = ", ".join(sorted(known))
            remedy = f"Use one of {listed}; an operator adds others to `encoders` of the embedding service."
            raise NotFound("No encoder of this site has this name.", field="encoder", value=name, remedy=remedy)
        return found

    def _load_once(self, name: str) -> Encoder:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]

    def _load(self, name: str) -> Encoder:
        folder = read_encoder_folder(self._folders[name])
        try:
            return load_encoder(name, folder, self._is_int8_used, self._device)
        except MemoryError:
            raise
        except ImportError as error:
            remedy = "Install requirements/torch.txt with the service, or use the encoder `statistics`."
            raise _unusable(
                folder, f"A library that the encoder needs is not installed ({error.name}).", remedy
            ) from error
        except MedqError as error:
            raise _unusable(folder, error.message, error.remedy) from None
        except Exception as error:  # a damaged file may raise nearly anything in its reader
            what = f"The encoder's folder cannot be loaded ({type(error).__name__})."
            remedy = "Copy its files again from their source; weights and configuration must be of one model."
            raise _unusable(folder, what, remedy) from error


def load_encoder(name: str, folder: EncoderFolder, is_int8_used: bool, device: str) -> Encoder:
    """Load what a folder holds; its id is made of the name and a digest of all that decides about the vectors.

    Raises:
        InvalidArgument, FailedPrecondition: The folder cannot be used.
        Exception: Whatever its reader raises.
    """
    from services.embedding.adapters.int8_tower import read_int8_tower
    from services.embedding.adapters.load_towers import load_towers
    from services.embedding.adapters.towers import TowerEncoder

    towers = load_towers(folder, device)
    int8 = read_int8_tower(folder) if is_int8_used and folder.int8 else None
    if int8 is None:
        return TowerEncoder(f"{name}-{folder.digest[:_N_DIGITS]}", towers)
    return TowerEncoder(f"{name}-int8-{int8.digest[:_N_DIGITS]}", towers, int8.run)


def _unusable(folder: EncoderFolder, what: str, remedy: str) -> FailedPrecondition:
    return FailedPrecondition(what, field="encoder", value=str(folder.place), remedy=remedy)
