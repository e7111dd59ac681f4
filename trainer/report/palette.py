"""Colours of the pictures, on a light and on a dark page by one drawing.

A picture is drawn once, with a colour that nobody would choose for each role. In the SVG these become variables of CSS,
to which the page gives values for a light and for a dark screen. A PNG has one background, so it is drawn in the light
colours at once. The hues are those of Okabe and Ito (2008), which colour-blind eyes tell apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Palette:
    """A colour for each role, as `#rrggbb` in small letters."""

    ink: str
    """Texts and axes."""
    faint: str
    """Grids, and whatever should not be looked at first."""
    challenger: str
    champion: str
    bad: str
    """Beyond a limit."""
    similar: str
    """Similar pairs; also whatever is neither model and fine."""
    dissimilar: str
    """Dissimilar pairs."""


LIGHT = Palette(
    ink="#1f2328",
    faint="#d0d7de",
    challenger="#0072b2",
    champion="#b35900",
    bad="#c2185b",
    similar="#00795a",
    dissimilar="#6e7781",
)
DARK = Palette(
    ink="#e6edf3",
    faint="#3d444d",
    challenger="#56b4e9",
    champion="#e69f00",
    bad="#ff7eb6",
    similar="#2fc299",
    dissimilar="#9198a1",
)
THEMED = Palette(
    **{field.name: f"#fe00{number:02x}" for number, field in enumerate(fields(Palette), start=1)},
)
"""Placeholders, each of which `themed` turns into a variable."""


def themed(svg: str) -> str:
    """An SVG that was drawn in `THEMED`, with variables of CSS for its colours."""
    for role, colour in asdict(THEMED).items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg


def variables(palette: Palette) -> str:
    """The declarations of the variables."""
    return " ".join(f"--{role}: {colour};" for role, colour in asdict(palette).items())
