"""Numbers with units, as a microscopist writes them."""


def length_text(metres: float) -> str:
    """A length with three digits and the unit that suits it, such as `7.3 nm`."""
    for unit, size in (("m", 1.0), ("mm", 1e-3), ("µm", 1e-6), ("nm", 1e-9)):
        if metres >= size:
            return f"{metres / size:.3g} {unit}"
    return f"{metres / 1e-12:.3g} pm"


def time_text(seconds: float) -> str:
    """A duration: `0.8 s`, `9 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds < 2 else f"{seconds:.0f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
