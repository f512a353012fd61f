"""Any image file a user may have, as the (H, W, 3) uint8 RGB array that everything here works on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from dlseg.common.checks import message, rgb_image

MAX_PIXELS = 50_000_000
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's grey modes of more than 8 bits


class ImageError(ValueError):
    """A file that cannot be used as an image, or an image that cannot be worked on; says which and why."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W 3"]:
    """Read a picture file as RGB, whatever it holds: grey, palette, 16 bit, CMYK, turned by its EXIF tag.

    A transparent picture is laid over white. Samples of 16 bits keep their high byte, with a warning.

    Raises:
        FileNotFoundError: no such file.
        ImageError: not an image, cut short, or more than `max_pixels`.
    """
    with _opened(Path(path)) as picture:
        if picture.width * picture.height > max_pixels:
            raise ImageError(_too_large(Path(path), picture.width, picture.height, max_pixels))
        deepest = _deepest(picture)
        if deepest > 255:
            warnings.warn(
                f"image: {str(path)!r} has samples up to {deepest:g}, expected 8 bits, 0..255: integers "
                "keep their high byte, floats above 255 are white; where that loses something, scale "
                "the samples yourself",
                stacklevel=2,
            )
        elif _was_deep_colour(picture):
            warnings.warn(
                f"image: {str(path)!r} has colours of 16 bits, expected 8 bits, 0..255: they keep their "
                "high byte; where that loses something, read and scale them yourself",
                stacklevel=2,
            )
        return np.array(_to_rgb(ImageOps.exif_transpose(picture)))


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture as `read_image` gives it; the pixels are not read.

    Raises as `read_image` does for what is no image.
    """
    with _opened(Path(path)) as picture:
        width, height = picture.size
        return (width, height) if _orientation(picture) >= 5 else (height, width)


def is_turned(path: str | Path) -> bool:
    """Whether the EXIF tag of a picture says that it is to be turned or mirrored."""
    with _opened(Path(path)) as picture:
        return _orientation(picture) > 1


def _orientation(picture: Image.Image) -> int:
    """EXIF's number: 1 as stored, 5 to 8 with height and width exchanged."""
    # a PNG's own getexif decodes all pixels to find a tag behind them
    exif = Image.Image.getexif(picture) if picture.format == "PNG" else picture.getexif()
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture in a file; what Pillow raises, also in the block, in our words."""
    if not path.is_file():
        raise FileNotFoundError(f"image: no file {str(path)!r}")
    try:
        with Image.open(path) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise ImageError(f"image: {str(path)!r} is far too large: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"image: {str(path)!r} is not an image file that can be read") from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises whatever a file that is damaged or cut short leads it to
        raise ImageError(f"image: {str(path)!r} is damaged or cut short ({error})") from error


def _too_large(path: Path, width: int, height: int, limit: int) -> str:
    return (
        f"image: {str(path)!r} is {width} × {height} = {width * height / 1e6:.0f} million pixels, "
        f"expected at most {limit / 1e6:.0f} million; make it smaller first"
    )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in DEEP:
        return Image.fromarray(_high_byte(np.asarray(picture))).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _deepest(picture: Image.Image) -> float:
    """The largest sample of a grey picture of more than 8 bits; 0 for all others."""
    if picture.mode not in DEEP:
        return 0.0
    samples = np.asarray(picture)
    return float(samples[np.isfinite(samples)].max(initial=0))


def _was_deep_colour(picture: Image.Image) -> bool:
    """Whether a picture not yet read has colours of 16 bits: Pillow reads them as 8 and calls them RGB.

    Only how it is going to decode the file tells: "RGB;16B", for example.
    """
    return picture.mode not in DEEP and any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ()))


def _high_byte(samples: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """Grey samples deeper than 8 bits as 8 bits: 0 … 255 and 0 … 1 floats are taken as they are meant."""
    if samples.dtype.kind == "f":  # the scale is that of the finite samples; NaN is black, infinity white
        finite = samples[np.isfinite(samples)]
        top = 1.0 if finite.max(initial=0) <= 1 else 255.0
        samples = np.nan_to_num(samples, nan=0.0, posinf=top, neginf=0.0)
    else:
        top = 65535.0 if samples.max(initial=0) > 255 else 255.0
    return (np.clip(samples, 0, top) * (255.0 / top)).astype(np.uint8)


def as_rgb(image: object, name: str = "image") -> UInt8[np.ndarray, "H W 3"]:
    """Check that an array is a picture: (H, W, 3) uint8, at least one pixel. Returned as it came, never copied.

    Raises:
        ImageError: names the argument, what came, and what was expected.
    """
    try:
        pixels = rgb_image(name, image)
    except (TypeError, ValueError) as error:
        raise ImageError(str(error)) from None
    if pixels.size == 0:
        raise ImageError(message(name, f"shape {pixels.shape}", "at least one pixel"))
    return pixels
