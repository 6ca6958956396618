"""A matplotlib figure as SVG for the page: small, its colours bound to the page's style sheet.

A backend of matplotlib (``RendererBase``) in place of its own SVG backend, because the page forbids
inline styles, follows the reader's light or dark, and holds a hundred figures: shapes carry classes
(``static/figures.css``) and no identifiers, coordinates have a tenth of a pixel, text stays text.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import matplotlib
import numpy as np
from markupsafe import escape
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Transform

from .canvas import MISSING, SETTINGS, SIZE
from .style import PAINT, PAPER

CLASS_OF_COLOUR = {colour: name for name, colour in PAINT.items()}
"""What matplotlib draws in a colour -> the class that has it in the page."""

WIDE, VAST = 580, 800
"""Pixels beyond which a figure has a row of the page for itself, and is scrolled on a phone."""

ANCHORS = {"left": "", "center": ' text-anchor="middle"', "right": ' text-anchor="end"'}


def page_svg(figure: Figure, title: str, description: str = "") -> str:
    """The figure; ``title`` says what it is, ``description`` what it shows, to who cannot see it.

    ValueError where it has a colour that the style sheet has not.
    """
    width, height = (float(side) * figure.dpi for side in figure.get_size_inches())
    renderer = _Renderer(width, height)
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        figure.draw(renderer)
    desc = f"<desc>{escape(description)}</desc>" if description else ""
    size = f'viewBox="0 0 {_number(width)} {_number(height)}"'
    wide = "chart" + " wide" * (width > WIDE) + " vast" * (width > VAST)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="{wide}" role="img" {size}>'
    return f"{head}<title>{escape(title)}</title>{desc}{renderer.body}</svg>"


class _Renderer(RendererBase):
    """Writes what a figure draws; nothing is clipped, so figures draw inside their axes."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__()
        self.width, self.height = width, height
        self._elements: list[tuple[str, str, str]] = []
        self._down = Affine2D().scale(1, -1).translate(0, height)

    @property
    def body(self) -> str:
        return "".join(f"{head}{content}{tail}" for head, content, tail in self._elements)

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: Any = None,
    ) -> None:
        outline = commands(path, transform + self._down)
        filled, stroked = _opacity(gc, rgbFace), _stroke_opacity(gc)
        if outline and filled:
            self._add(f'area {_class(rgbFace)}"', outline, _of("opacity", filled))
        if outline and stroked:
            self._add(f'line {_class(gc.get_rgb())}"', outline, _strokes(gc, stroked))

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: Any = None,
    ) -> None:
        """Discs: lines without length, whose round ends are as wide as the disc."""
        box = marker_path.get_extents(marker_trans)
        places = (trans + self._down).transform(path.vertices)
        known = places[np.isfinite(places).all(axis=1)].tolist()
        if to_hex(rgbFace) == PAPER:
            ring = f'ring {_class(gc.get_rgb())}" r="{_number(box.width / 2)}'
            for x, y in known:
                place = f'cx="{_number(x)}" cy="{_number(y)}"'
                self._elements.append((f'<circle class="{ring}" {place}', "", "/>"))
        elif known:
            dots = "".join(f"M{_places(x, y)}h0" for x, y in known)
            width = box.width + gc.get_linewidth() * bool(_stroke_opacity(gc))
            more = f' stroke-width="{_number(width)}"{_of("opacity", _opacity(gc, rgbFace))}'
            self._add(f'dot {_class(rgbFace)}"', dots, more)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | str = False,
        mtext: Text | None = None,
    ) -> None:
        """Text from the end that it is aligned by: a reader's font may be wider or narrower."""
        anchor = ""
        if mtext is not None and "\n" not in mtext.get_text():
            side = mtext.get_horizontalalignment()
            own = mtext.get_transform().transform(mtext.get_unitless_position())
            if angle == 0:
                anchor, x = ANCHORS[side], own[0]
            elif mtext.get_rotation_mode() == "anchor":
                anchor, (x, y) = ANCHORS[side], self._baseline(mtext, own, (x, y), angle)
        rotation = f' transform="rotate({_number(-angle)} {_places(x, y)})"' if angle else ""
        size = prop.get_size_in_points()
        large = f' font-size="{_number(size)}"' if size != SIZE else ""
        bold = ' font-weight="600"' if prop.get_weight() in ("bold", "semibold") else ""
        place = f'x="{_number(x)}" y="{_number(y)}"'
        head = f'<text class="words {_class(gc.get_rgb())}" {place}{anchor}{large}{bold}{rotation}>'
        self._elements.append((head, str(escape(s)), "</text>"))

    def _baseline(
        self, text: Text, own: Any, start: tuple[float, float], angle: float
    ) -> tuple[float, float]:
        """Where a turned text's baseline passes its anchor: ``start`` moved along the text."""
        along = np.array([math.cos(math.radians(angle)), -math.sin(math.radians(angle))])
        anchor = np.array([own[0], self.height - own[1]])
        x, y = np.array(start) + along * float(along @ (anchor - np.array(start)))
        return float(x), float(y)

    def draw_image(self, *args: Any, **options: Any) -> None:
        raise ValueError("a figure of the page is vector graphics: got an image")

    def flipy(self) -> bool:
        return True

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def points_to_pixels(self, points: Any) -> Any:
        return points

    def _add(self, named: str, outline: str, more: str) -> None:
        """A path, or where it looks as the one before a part of that."""
        head, tail = f'<path class="{named} d="', f'"{more}/>'
        if self._elements and "opacity" not in more:
            before, content, end = self._elements[-1]
            if (before, end) == (head, tail):
                self._elements[-1] = (head, content + outline, tail)
                return
        self._elements.append((head, outline, tail))


def _class(colour: Any) -> str:
    name = CLASS_OF_COLOUR.get(to_hex(colour))
    if name is None:
        raise ValueError(f"expected a colour of the palette, got {to_hex(colour)}")
    return name


def _opacity(gc: GraphicsContextBase, face: Any) -> float:
    """How much of a face is seen; 0 of none."""
    if face is None:
        return 0.0
    alpha = float(face[3]) if len(face) > 3 else 1.0
    return float(gc.get_alpha()) if gc.get_forced_alpha() else alpha


def _stroke_opacity(gc: GraphicsContextBase) -> float:
    if gc.get_linewidth() == 0:
        return 0.0
    alpha = float(gc.get_rgb()[3])
    return float(gc.get_alpha()) if gc.get_forced_alpha() else alpha


def _strokes(gc: GraphicsContextBase, opacity: float) -> str:
    width = gc.get_linewidth()
    _, dashes = gc.get_dashes()
    lengths = [] if dashes is None else np.asarray(dashes, float).tolist()
    dashed = " ".join(map(_number, lengths))
    return (
        (f' stroke-width="{_number(width)}"' if width != 1 else "")
        + (f' stroke-dasharray="{dashed}"' if dashed else "")
        + _of("opacity", opacity)
    )


def _of(name: str, opacity: float) -> str:
    return f' {name}="{_number(opacity)}"' if opacity < 1 else ""


PATH_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "l", Path.CURVE3: "q", Path.CURVE4: "c"}


def commands(path: Path, transform: Transform) -> str:
    """A path as SVG commands, relative and to a tenth of a pixel; nothing where it has no place.

    >>> commands(Path([(1, 2), (3.05, 1.5), (3, 1)]), Affine2D())
    'M1 2l2-.5 0-.5'
    """
    parts: list[str] = []
    begun = last = (0, 0)
    before = ""
    for vertices, code in path.iter_segments(transform):
        if code == Path.CLOSEPOLY:
            parts.append("z")
            last, before = begun, ""
            continue
        numbers = [round(10 * float(number)) for number in np.asarray(vertices).tolist()]
        places = list(zip(numbers[::2], numbers[1::2], strict=True))
        if code == Path.MOVETO:
            begun = last = places[0]
            parts.append(f"M{_joined(last)}")
            before = "M"
            continue
        letter = PATH_COMMANDS[code]
        text = _joined([number for x, y in places for number in (x - last[0], y - last[1])])
        # a letter that repeats is left out, and a minus is as good as a space
        parts.append(letter + text if letter != before else text if text[0] == "-" else f" {text}")
        last, before = places[-1], letter
    return "".join(parts)


def _joined(tenths: Any) -> str:
    """Numbers of tenths in a row, with no more between them than SVG needs."""
    texts = [_tenths(count) for count in tenths]
    return texts[0] + "".join(text if text[0] == "-" else f" {text}" for text in texts[1:])


def _places(x: float, y: float) -> str:
    return _joined((round(10 * float(x)), round(10 * float(y))))


def _tenths(count: int) -> str:
    """A number of tenths, as short as it can be: -0.5 is -.5."""
    whole, rest = divmod(abs(count), 10)
    sign = "-" if count < 0 else ""
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole or ''}.{rest}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
