"""Seeded mutations of JSON files: of values, keys, text and bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

# Written as they are, because some are no JSON.
STRANGE = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "2.5",
        "1e9",
        "1000000000",
        "-0.0",
        "1e999",
        "-1e400",
        "NaN",
        "Infinity",
    ),
    *(
        "1e-320",
        "1e300",
        "-1e300",
        "9" * 30,
        "9" * 5000,
        '""',
        '"x"',
        '"."',
        '".."',
        '"../../etc/passwd"',
        '"/"',
        '"a\\u0000b"',
        '"\\ud800"',
    ),
    *(
        '"' + "y" * 5000 + '"',
        '"(a+"',
        '"*"',
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "[1000000000]",
        "[1000000000,1]",
        '{"a":1}',
    ),
    *("[" * 60 + "]" * 60, "[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000, '[1,"a",null]', "[0.5,0.5]"),
)
_MARK = "\x01strange\x01"


def mutated_json(content: Any, rng: np.random.Generator) -> bytes:
    """The text of a JSON value with one to three random faults."""
    changed = json.loads(json.dumps(content))
    strange = []
    for _ in range(rng.integers(1, 4)):
        places = list(_places(changed))
        holder, key = places[rng.integers(len(places))]
        fault = rng.random()
        if fault < 0.7 or isinstance(holder, list):
            holder[key] = _MARK
            strange.append(STRANGE[rng.integers(len(STRANGE))])
        elif fault < 0.85:
            del holder[key]
        else:
            holder[f"{key}_"] = holder.pop(key)
    text = json.dumps(changed)
    for one in strange:
        text = text.replace(json.dumps(_MARK), one, 1)
    raw = bytearray(text.encode())
    if rng.random() < 0.15:
        _damage(raw, rng)
    return bytes(raw)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with some of them changed, or without their end."""
    changed = bytearray(content)
    _damage(changed, rng)
    return bytes(changed)


def _damage(raw: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 5)):
        raw[rng.integers(len(raw))] = rng.integers(256)
    if rng.random() < 0.2:
        del raw[rng.integers(len(raw)) :]


def _places(content: Any) -> Any:
    """(container, key) of everything in a JSON value; of long lists the first entries."""
    inner = content.items() if isinstance(content, dict) else enumerate(content[:5])
    for key, value in list(inner):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)
