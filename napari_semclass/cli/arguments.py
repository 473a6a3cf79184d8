"""What the commands' arguments have in common."""

import argparse


def positive(text: str) -> int:
    """A whole number of at least 1, as argparse reads it."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number
