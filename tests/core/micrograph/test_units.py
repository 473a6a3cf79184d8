"""Units of every spelling are the same length; what is no length of a pixel gives none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_semclass.micrograph.metadata.quantities import length, number, quantity, volts
from napari_semclass.micrograph.metadata.units import metres_per, volts_per

SPELLINGS = {
    1e-12: ["pm", "PM", "picometer", "picometres"],
    1e-10: ["Å", "\u212b", "å", "angstrom", "Angstroms", "ångström", "ANGSTROM"],
    1e-9: ["nm", "NM", "Nm", "nanometer", "Nanometres", "ｎｍ", "nm/px", "nm / pixel", "nm per pixel", "㎚"],
    1e-6: [
        *(
            "um",
            "UM",
            "µm",
            "μm",
            "micron",
            "Microns",
            "micrometer",
            "micrometres",
            "㎛",
            "µm/px",
            "\\u00B5m",
            "\\u00b5m",
        ),
        *("ƒÊm", "\x83Êm", "Âµm", "Î¼m", "ﾂｵm", "¦Ìm", "\ufffdm", "?m", "&micro;m", "µm."),
    ],
    1e-3: ["mm", "MM", "millimeter", "Millimetres"],
    1e-2: ["cm", "CM", "centimeter"],
    1.0: ["m", "meter", "metres", "METER"],
    2.54e-5: ["thou", "mil"],
    0.0254: ["in", "inch", "Inches", '"'],
}
NO_LENGTHS = [
    *("", " ", "px", "pixel", "pixels", "points", "1/nm", "1 / nm", "nm^-1", "nm-1", "1/Å", "mrad", "rad", "s", "ms"),
    *(
        "Pm",
        "Mm",
        "M",
        "nM",
        "uM",
        "mM",
        "A",
        "u",
        "µ",
        "kV",
        "eV",
        "dpi",
        "nm*nm",
        "nm**2",
        "nm2",
        "nm + nm",
        "9**9**9",
    ),
    *("__import__('os')", "none", "null", "unknown", "nm;nm", "meter*1e9", "K", "deg", "%", "\0", "x" * 500),
]


@pytest.mark.parametrize(("size", "unit"), [(size, unit) for size, units in SPELLINGS.items() for unit in units])
def test_all_spellings_of_a_unit(size, unit):
    assert metres_per(unit) == pytest.approx(size)
    assert metres_per(f"\u00a0{unit}\u2009") == pytest.approx(size)


@pytest.mark.parametrize("unit", NO_LENGTHS)
def test_what_is_no_length_of_a_pixel(unit):
    assert metres_per(unit) is None


@pytest.mark.parametrize(
    ("unit", "size"), [("V", 1), ("kV", 1000), ("KV", 1000), ("kv", 1000), ("nm", None), ("eV", None)]
)
def test_voltages(unit, size):
    assert volts_per(unit) == size


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("5,825 nm", 5.825e-9),
        ("5.825\u202fnm", 5.825e-9),
        ("5.825\u00a0nm", 5.825e-9),
        ("2.7e-007 m", 2.7e-7),
        ("2,7E-7m", 2.7e-7),
        ("2.7x10^-7 m", 2.7e-7),
        ("2.7 × 10⁻⁷ m", 2.7e-7),
        (".5 µm", 5e-7),
        ("−3 nm", -3e-9),
        ("+3 nm", 3e-9),
        ("5 x 10 nm", None),
        ("1.234,5 nm", None),
        ("1 024 nm", None),
        ("nan nm", None),
        ("inf m", None),
        ("1e999 m", None),
        ("five nm", None),
        ("5", None),
    ],
)
def test_numbers_with_units(text, metres):
    assert length(text) == (None if metres is None else pytest.approx(metres))


def test_a_negative_voltage_is_one_of_electrons():
    assert volts("-15 kV") == 15_000
    assert volts("0 kV") is None


@given(
    st.floats(1e-3, 1e3),
    st.sampled_from([(size, unit) for size, units in SPELLINGS.items() for unit in units]),
    st.sampled_from(["{:.6f}", "{:.6e}", "{:.6E}"]),
    st.sampled_from([".", ","]),
    st.sampled_from([" ", "", "\u00a0", "\u2009"]),
)
def test_a_length_is_the_same_however_it_is_written(value, sized_unit, layout, mark, space):
    size, unit = sized_unit
    written = layout.format(value).replace(".", mark)
    assert length(f"{written}{space}{unit}") == pytest.approx(float(layout.format(value)) * size)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_number_with_a_unit_or_none(text):
    found = quantity(text)
    assert found is None or isinstance(found[0], float)
    assert number(text) is None or (found is not None and found[1] == "")
    assert metres_per(text) is None or metres_per(text) > 0


@given(st.sampled_from(["nm", "µm", "m", "Å", "inch", "meter"]), st.sampled_from("*/^+-()%"), st.integers(-9, 9))
def test_expressions_are_never_computed(unit, operator, other):
    assert metres_per(f"{unit}{operator}{other}") is None or operator in "()"
    assert metres_per(f"{other}{operator}{unit}") is None
