"""Uploaded pictures: the three formats are read, everything else is refused in one plain sentence, and no claim of a size is believed."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from moe_viz.spec import RunConfig
from moe_viz.spec.sentence import Sentence
from moe_viz.tasks import make_task
from moe_viz.tasks.picture import MOST_BYTES, MOST_PIXELS, read_picture

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
GRADIENT = np.stack(np.broadcast_arrays(np.arange(120)[None, :] * 2, np.arange(80)[:, None] * 3, 40), -1).astype(
    np.uint8
)


def encoded(kind="PNG", image=None, **options):
    out = io.BytesIO()
    (image or Image.fromarray(GRADIENT)).save(out, kind, **options)
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, data=b""):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb():
    about = PngImagePlugin.PngInfo()
    about.add_text("bomb", "a" * 80_000_000, zip=True)
    return encoded(pnginfo=about)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_read(kind):
    picture = read_picture(encoded(kind))
    assert picture.mode == "RGB" and picture.size == (120, 80)
    assert np.abs(np.asarray(picture, dtype=int) - GRADIENT).mean() < 12


def refused(data):
    with pytest.raises(ValueError) as caught:
        read_picture(data)
    said = caught.value.args[0]
    assert isinstance(said, Sentence) and said == said.template.format(**said.values) and "\n" not in said
    return said


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello, this is text" * 100, "PNG, JPEG or WebP"),
        (encoded("GIF"), "PNG, JPEG or WebP"),
        (encoded("TIFF"), "PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "PNG, JPEG or WebP"),
        (encoded()[:200], "PNG, JPEG or WebP"),
        (encoded("JPEG")[:600], "PNG, JPEG or WebP"),
        (encoded("WEBP")[:60], "PNG, JPEG or WebP"),
        (png(60_000, 60_000), "at most 4096"),
        (png(2**31 - 1, 1), "at most 4096"),
        (png(MOST_PIXELS + 1, 8, zlib.compress(b"\0" * 100)), "at most 4096"),
        (png(4096, 4096, zlib.compress(b"\0" * 1000)), "PNG, JPEG or WebP"),
        (png(0, 5), "PNG, JPEG or WebP"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * MOST_BYTES, "at most 2 MB"),
        (text_bomb(), "PNG, JPEG or WebP"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{len(value)}B",
)
def test_everything_else_is_refused_in_plain_words(data, word):
    assert word in refused(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_no_damage_raises_anything_but_a_refusal(kind):
    whole, rng = encoded(kind), np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for trial in range(150):
        bytes_ = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(len(bytes_), size=rng.integers(1, 12))
        bytes_[places] = rng.integers(256, size=len(places))
        data = bytes_.tobytes()[: rng.integers(1, len(whole) + 1) if trial % 3 == 0 else None]
        try:
            read_picture(data)
            outcomes["read"] += 1
        except ValueError as error:
            assert isinstance(error.args[0], Sentence)
            outcomes["refused"] += 1
    assert outcomes["refused"]


def test_transparency_is_white_and_a_turned_photograph_stands_upright():
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert read_picture(encoded(image=clear)).getpixel((5, 5)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(encoded("JPEG", exif=exif)).size == (80, 120)


def test_large_pictures_are_kept_small():
    picture = read_picture(encoded("JPEG", Image.new("RGB", (4096, 2048), "green")))
    assert max(picture.size) <= 256 and abs(picture.width / picture.height - 2) < 0.02


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (256, 1), (1, 256), (200, 200), (256, 90), (120, 256)])
def test_any_shape_becomes_whole_patches(size):
    task = make_task(RunConfig(task="photo"), CPU)
    batch, labels = task.own_image(Image.new("RGB", size, (255, 0, 51)))
    _, height, width, channels = batch.inputs.shape
    assert height % 8 == width % 8 == 0 and channels == 3
    assert 48 <= len(labels.tokens) == height * width // 64 == batch.group_size <= 96
    assert torch.allclose(batch.inputs[0, 0, 0], torch.tensor([1.0, 0.0, 0.2]))
    ratio = min(max(size[0] / size[1], 1 / 3), 3)
    assert width / height == pytest.approx(ratio, rel=0.2)


@pytest.mark.parametrize("ink", [0, 255])
def test_a_drawn_digit_becomes_light_ink_on_dark(ink):
    page = Image.new("L", (80, 80), 255 - ink)
    page.paste(ink, (30, 10, 50, 70))
    batch, labels = make_task(RunConfig(task="digits"), CPU).own_image(page.convert("RGB"))
    image = batch.inputs[0]
    assert image.shape == (8, 8) and len(labels.tokens) == 16
    assert float(image[1:7, 3:5].min()) > 0.9 and float(image[:, :3].max()) < 0.1


def test_the_largest_pictures_take_bounded_time_and_memory():
    """In a process of its own: what Pillow allocates is not Python's. Twice the decoded pixels, 134 MB, is about the most."""
    noise = Image.effect_noise((700, 700), 90).resize((4096, 4096), 0).convert("RGBA")
    files = [encoded("PNG", noise, compress_level=1), encoded("PNG", Image.new("LA", (4096, 4096), 80))]
    files += [encoded(kind, Image.new("CMYK" if kind == "JPEG" else "P", (4096, 4096), 7)) for kind in ("PNG", "JPEG")]
    files += [encoded("WEBP", Image.new("RGBA", (4096, 4096), (9, 200, 9, 90)))]
    assert max(map(len, files)) <= MOST_BYTES
    code = (
        "import resource, sys, time; from moe_viz.tasks.picture import read_picture\n"
        "files = [bytes.fromhex(line) for line in sys.stdin]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for data in files:\n"
        "    start = time.process_time(); assert max(read_picture(data).size) == 256\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)"
    )
    lines = "\n".join(data.hex() for data in files)
    done = subprocess.run(
        [sys.executable, "-c", code], input=lines, capture_output=True, text=True, check=True, cwd=ROOT
    )
    for line in done.stdout.splitlines():
        kilobytes, seconds = map(float, line.split())
        assert kilobytes < 180_000 and seconds < 3


def test_a_refused_file_is_decoded_only_once(monkeypatch):
    bad, opened = encoded()[:-40] + b"once", []
    monkeypatch.setattr("moe_viz.tasks.picture._open", lambda data: opened.append(1) or 1 / 0)
    refused(bad)
    refused(bad)
    assert len(opened) == 1


def test_sixteen_bits_of_grey_are_as_many_greys_as_eight():
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 4, 0)
    grey = np.asarray(read_picture(encoded(image=Image.fromarray(ramp))))
    assert (grey == np.arange(256)[None, :, None]).all()


def test_a_clear_level_of_sixteen_bits_is_white_alone():
    deep = np.full((2, 4), 1000, np.uint16)
    deep[:, 2:] = 1001
    grey = np.asarray(read_picture(encoded(image=Image.fromarray(deep), transparency=1001)))
    assert (grey[:, :2] == 3).all() and (grey[:, 2:] == 255).all()


def test_a_palette_keeps_its_colours_and_its_clear_one_is_white():
    painted = Image.new("P", (4, 2))
    painted.putpalette([200, 30, 10, 0, 90, 160, 1, 2, 3])
    painted.putdata([0, 0, 1, 1, 0, 0, 2, 2])
    pixels = np.asarray(read_picture(encoded(image=painted, transparency=2)))
    assert pixels[0, 0].tolist() == [200, 30, 10] and pixels[0, 2].tolist() == [0, 90, 160]
    assert (pixels[1, 2:] == 255).all()


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_of_a_camera_stands_upright(turn, deep):
    levels = np.arange(6).reshape(2, 3) * 40
    image = Image.fromarray((levels * 257).astype(np.uint16) if deep else levels.astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    seen = np.asarray(read_picture(encoded(image=image, exif=exif)))[..., 0]
    upright = {
        1: levels,
        2: levels[:, ::-1],
        3: levels[::-1, ::-1],
        4: levels[::-1],
        5: levels.T,
        6: levels[::-1].T,
        7: levels[::-1, ::-1].T,
        8: levels.T[::-1],
    }[turn]
    assert seen.tolist() == upright.tolist()
