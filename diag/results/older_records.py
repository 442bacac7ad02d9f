"""Records of earlier versions, brought into the shape of this one. Pure functions of plain JSON; nothing is computed.

Version 1 wrote the loss on the ruler flat, into a measurement's `Reading` and once more into every diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MARKS = ("chance_nats", "unigram_nats", "bigram_nats")
_COPIED = (
    *("loss_nats", "stderr_nats", "reference_nats", "zone", "gate", "device", "dtype", "tokens", "sequences"),
    *("reading", *_MARKS),
)
_ZONES = {"no_better_than_counts": "no_better_than_unigram"}
NOT_KEPT = {"status": "unknown", "text": "The record is of a version that did not keep this check."}


def result_of_v1(kind: str, result: Any) -> Any:
    """The result of a record of version 1 as version 2 writes it. What is no object is left for the decoder."""
    if not isinstance(result, Mapping):
        return result
    if kind == "measure":
        return _baseline(result)
    reading = result.get("reading")
    kept = {key: value for key, value in result.items() if key not in _COPIED}
    baseline = _baseline(reading) if isinstance(reading, Mapping) else _from_diagnosis(result)
    known = _list(baseline.get("notes"))
    kept["notes"] = [note for note in _list(result.get("notes")) if note not in known]
    return kept | {"baseline": baseline}


def _baseline(reading: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in reading.items() if key not in _MARKS}
    return kept | {"ruler": _ruler(reading, _loss(reading.get("reference"))), "zone": _zone(reading.get("zone"))}


def _from_diagnosis(result: Mapping[str, Any]) -> dict[str, Any]:
    """The baseline of a diagnosis that did not keep its reading: the numbers it copied, and no layers."""
    size = {"tokens": result.get("tokens", 0), "sequences": result.get("sequences", 0)}
    measured = None
    if result.get("loss_nats") is not None:
        stated = {key: result.get(key, "") for key in ("device", "dtype")}
        stderr = result.get("stderr_nats")
        measured = {"loss_nats": result["loss_nats"], "stderr_nats": "NaN" if stderr is None else stderr}
        measured |= size | stated
    return {
        "measurement": measured,
        "reference": None,
        "ruler": _ruler(result, result.get("reference_nats")),
        "zone": _zone(result.get("zone")),
        "gate": result.get("gate"),
        "null_models_nats": [],
        "data": NOT_KEPT,
        "tie": NOT_KEPT,
        "notes": _list(result.get("notes")),
        **size,
    }


def _ruler(flat: Mapping[str, Any], reference: Any) -> dict[str, Any]:
    """The marks; a missing chance is left missing, so that the decoder names it."""
    return {key: flat[key] for key in _MARKS if key in flat} | {"reference_nats": reference}


def _loss(measurement: Any) -> Any:
    return measurement.get("loss_nats") if isinstance(measurement, Mapping) else None


def _zone(zone: Any) -> Any:
    return _ZONES.get(zone, zone) if isinstance(zone, str) else zone


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
