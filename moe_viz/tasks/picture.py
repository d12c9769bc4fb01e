"""Reading a picture that somebody uploaded: only three formats, only within limits, and any other bytes are refused in plain words.

Sizes are read from the header before a pixel is decoded (a few bytes can claim a gigapixel). Pillow does the decoding.
"""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 2 * 2**20
MOST_PIXELS = 4096
"""Along each side."""
KEPT_PIXELS = 256
"""Along the longer side, of what is kept: more than any task looks at."""
MOST_KNOWN = 64


_known: dict[bytes, Image.Image | Sentence] = {}
"""By digest, the last `MOST_KNOWN` outcomes: pages ask for the same file at every look, and a refusal may have cost as much as a picture."""


def read_picture(data: bytes) -> Image.Image:
    """The picture as RGB, upright, on white where it is transparent, its first frame where it moves; at most 256 pixels a side.

    Raises ValueError, whose first argument is a `Sentence`, where the bytes are no such picture or too large a one.
    """
    digest = sha256(data).digest()
    if digest not in _known:
        try:
            _known[digest] = _read(data)
        except ValueError as error:
            _known[digest] = error.args[0]
        while len(_known) > MOST_KNOWN:
            del _known[next(iter(_known))]
    picture = _known[digest]
    if isinstance(picture, Sentence):
        raise ValueError(picture)
    return picture


def _read(data: bytes) -> Image.Image:
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
        if image.mode.startswith("I"):
            image = _eight_bit(image)
        mode = "RGBA" if image.has_transparency_data else "RGB"
        # small first: every further step makes a copy, and 4096 × 4096 pixels are 67 MB each time
        image = image if image.mode == mode else image.convert(mode)
        image.thumbnail((KEPT_PIXELS, KEPT_PIXELS), Image.Resampling.BOX, reducing_gap=None)
        ImageOps.exif_transpose(image, in_place=True)
    if mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """A 16-bit grey picture in 8 bits: Pillow's own conversion cuts off all that is above 255 instead."""
    fine = np.asarray(image)
    coarse = Image.fromarray((fine.clip(0, 2**16 - 1).astype(np.uint16) >> 8).astype(np.uint8))
    coarse.info = {key: value for key, value in image.info.items() if key != "transparency"}
    if (clear := image.info.get("transparency")) is not None:
        coarse.putalpha(Image.fromarray(np.where(fine == clear, 0, 255).astype(np.uint8)))
    return coarse
