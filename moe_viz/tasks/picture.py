"""Reading a picture that somebody uploaded: only three formats, only within limits, and any other bytes are refused in plain words.

Sizes are read from the header before a pixel is decoded (a few bytes can claim a gigapixel). Pillow does the decoding.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageOps

from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 2 * 2**20
MOST_PIXELS = 4096
"""Along each side."""
KEPT_PIXELS = 256
"""Along the longer side, of what is kept: more than any task looks at."""


@lru_cache(maxsize=8)
def read_picture(data: bytes) -> Image.Image:
    """The picture as RGB, upright, on white where it is transparent, its first frame where it moves; at most 256 pixels a side.

    Raises ValueError, whose first argument is a `Sentence`, where the bytes are no such picture or too large a one.
    """
    if not data:
        raise ValueError(Sentence(N_("The file is empty. Allowed: PNG, JPEG or WebP.")))
    if len(data) > MOST_BYTES:
        raise ValueError(
            Sentence(
                N_("The file has {size:.1f} MB; at most {most:.0f} MB are allowed."),
                size=len(data) / 2**20,
                most=MOST_BYTES / 2**20,
            )
        )
    try:
        with _open(data) as header:
            fits = max(header.size) <= MOST_PIXELS
            if fits:
                header.verify()
        if fits:
            return _decoded(data)
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except Exception as error:  # decoders raise whatever the damage leads them to
        raise ValueError(
            Sentence(N_("This file cannot be read as a picture. Allowed: PNG, JPEG or WebP, whole and undamaged."))
        ) from error
    raise _too_large()


def _too_large() -> ValueError:
    return ValueError(
        Sentence(N_("The picture is too large; at most {most} × {most} pixels are allowed."), most=MOST_PIXELS)
    )


def _open(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data), formats=FORMATS)


def _decoded(data: bytes) -> Image.Image:
    with _open(data) as image:
        image.draft("RGB", (2 * KEPT_PIXELS, 2 * KEPT_PIXELS))
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    image.thumbnail((KEPT_PIXELS, KEPT_PIXELS), Image.Resampling.BOX, reducing_gap=None)
    return image
