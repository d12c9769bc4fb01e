"""The field of a gate map that a place lies in, worked out apart from how the map is made."""


def field_of(x: float, y: float, resolution: int) -> tuple[int, int]:
    """(row, column) of the field that a place lies in; places off the square count as on its edge."""
    row, column = (min(max(int((value + 1) * resolution / 2), 0), resolution - 1) for value in (y, x))
    return row, column
