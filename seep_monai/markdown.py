"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The rows under their titles, without a line break at the end; a "|" inside a cell is escaped.

    >>> print(markdown_table(["scene", "Dice"], [["a|b", "0.5"]]))
    | scene | Dice |
    | --- | --- |
    | a\\|b | 0.5 |
    """
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
