"""Which parts of a page have changed: each says what it is by a mark, and a refresh carries only those that are new.

A template marks what may change by itself with `part`. Around the parts stands the frame, cut into regions by `region`.
How long ago something was does not count as a change: the page's own script goes on counting.
"""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

_BEGIN, _END, _REGION = "\x02", "\x03", "\x04"
"""Control characters, which text that is shown loses before it comes here (`shown_text`)."""

_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])

_PART = re.compile(f"{_BEGIN}\\s*(.*?)\\s*{_END}", re.DOTALL)
_AGE = re.compile(r"(<time\b[^>]*>)[^<]*")
_AS_OF = re.compile(r'<time id="as-of"[^>]*>')
_TAG = re.compile(r"<[a-z0-9]+")


def shown_text(value: object) -> object:
    """What a template writes: a text from outside without control characters, which HTML cannot hold anyway."""
    return value.translate(_CONTROL) if isinstance(value, str) and not isinstance(value, Markup) else value


def part(text: str) -> Markup:
    """Mark one element as a part. For templates."""
    return Markup(_BEGIN) + text + Markup(_END)  # noqa: S704 - constants; the text is escaped unless it is markup


def region() -> Markup:
    """The beginning, and the end, of what a refresh puts in place. For templates."""
    return Markup(_REGION)  # noqa: S704 - a constant


def mark_of(text: str) -> str:
    """Eight characters that are others for another text, but for its ages."""
    return hashlib.sha256(_AGE.sub(r"\1", text).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Region:
    """A frame with a place for each of its parts."""

    frame: str
    parts: tuple[tuple[str, str], ...]

    @cached_property
    def mark(self) -> str:
        """The frame's own."""
        return mark_of(self.frame)


@dataclass(frozen=True)
class Rendered:
    """A page as its template gave it."""

    text: str

    @property
    def pieces(self) -> list[str]:
        """What is outside of regions and inside, by turns; not kept beside the text that they are cut from."""
        return self.text.split(_REGION)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The regions of the page, in order."""
        return tuple(_region(text) for text in self.pieces[1::2])

    @cached_property
    def whole(self) -> bytes:
        """The page for a browser: each part with its mark, the first region with the whole page's."""
        shown = list(self.pieces)
        for index, region in enumerate(self.regions):
            own = f' data-page="{self.mark}"' if index == 0 else ""
            shown[2 * index + 1] = f'<div data-frame="{region.mark}"{own}>{_marked(shown[2 * index + 1])}</div>'
        return "".join(shown).encode()

    @cached_property
    def mark(self) -> str:
        """Another for anything that is shown otherwise, but for when it was looked at, which a header says."""
        return mark_of(_AS_OF.sub("<time>", "".join(self.pieces)))

    def news(self, had: Collection[str]) -> bytes:
        """What the page's script needs that has the parts and frames of these marks.

        A frame that came with the page is there, but its text is not: it has its region's number before its mark.
        """
        regions = [
            {"mark": one.mark, "parts": [mark for mark, _ in one.parts]}
            | ({} if {one.mark, f"{index}-{one.mark}"} & set(had) else {"frame": one.frame})
            for index, one in enumerate(self.regions)
        ]
        parts = {mark: text for one in self.regions for mark, text in one.parts if mark not in had}
        return json.dumps({"regions": regions, "parts": parts}, ensure_ascii=False, separators=(",", ":")).encode()


def _region(text: str) -> Region:
    parts = tuple((mark_of(found), _with_mark(found)) for found in _PART.findall(text))
    return Region(_PART.sub("<template data-part></template>", text), parts)


def _marked(text: str) -> str:
    return _PART.sub(lambda found: _with_mark(found[1]), text)


def _with_mark(text: str) -> str:
    return _TAG.sub(lambda tag: f'{tag[0]} data-mark="{mark_of(text)}"', text, count=1)
