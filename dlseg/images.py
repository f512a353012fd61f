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
# what may be opened; Pillow knows more, some of which start other programs (EPS: Ghostscript)
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's grey modes of more than 8 bits


class ImageError(ValueError):
    """A file that cannot be used as an image, or an image that cannot be worked on; says which and why."""


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "H W 3"]:
    """Read a picture file as RGB, whatever it holds: grey, palette, 16 bit, CMYK, turned by its EXIF tag.

    A transparent picture is laid over white. What is left out is a warning: the low bytes of 16-bit samples, NaN,
    all but the first of several pictures.

    Args:
        path: a file in one of `FORMATS`; its ending does not matter.
        max_pixels: refuse larger ones before they are read.

    Returns:
        A new array (H, W, 3) uint8.

    Raises:
        FileNotFoundError: no such file.
        ImageError: not an image, cut short, or more than `max_pixels`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 7).save(Path(folder) / "a.png")
    ...     image = read_image(Path(folder) / "a.png")
    >>> image.shape, image[0, 0].tolist()
    ((3, 4, 3), [7, 7, 7])
    """
    with opened(Path(path)) as picture:
        if picture.width * picture.height > max_pixels:
            raise ImageError(_too_large(Path(path), picture.width, picture.height, max_pixels))
        for loss in _losses(picture):
            warnings.warn(f"image: {str(path)!r} {loss}", stacklevel=2)
        return np.array(_to_rgb(ImageOps.exif_transpose(picture)))


def image_size(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture as `read_image` gives it; the pixels are not read.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: no such file.
        ImageError: not an image.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3)).save(Path(folder) / "a.png")
    ...     image_size(Path(folder) / "a.png")
    (3, 4)
    """
    with opened(Path(path)) as picture:
        width, height = picture.size
        return (width, height) if orientation(picture) >= 5 else (height, width)


def is_turned(path: str | Path) -> bool:
    """Whether the EXIF tag of a picture says that it is to be turned or mirrored.

    Raises as `image_size`.

    >>> import tempfile
    >>> tag = Image.Exif()
    >>> tag[ExifTags.Base.Orientation] = 6
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3)).save(Path(folder) / "a.jpg", exif=tag)
    ...     is_turned(Path(folder) / "a.jpg"), image_size(Path(folder) / "a.jpg")
    (True, (4, 3))
    """
    with opened(Path(path)) as picture:
        return orientation(picture) > 1


def orientation(picture: Image.Image) -> int:
    """EXIF's number: 1 as stored, 5 to 8 with height and width exchanged."""
    # a PNG's own getexif decodes all pixels to find a tag behind them
    exif = Image.Image.getexif(picture) if picture.format == "PNG" else picture.getexif()
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


@contextmanager
def opened(path: Path, name: str = "image") -> Iterator[Image.Image]:
    """The picture in a file, its pixels not yet read; what Pillow raises, also in the block, is an `ImageError`.

    Args:
        path: the file.
        name: what it is called in an error.

    Raises:
        FileNotFoundError: no such file.
        ImageError: not an image of `FORMATS`, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{name}: no file {str(path)!r}{_alike(path)}")
    Image.init()  # loads all plugins; formats that this Pillow was built without are left out
    known = [form for form in FORMATS if form in Image.OPEN]
    try:
        with Image.open(path, formats=known) as picture:
            yield picture
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: {str(path)!r} is far too large: {error}") from error
    except UnidentifiedImageError as error:
        what = f"is not an image file that can be read ({', '.join(known)})"
        raise ImageError(f"{name}: {str(path)!r} {what}") from error
    except (ImageError, MemoryError):
        raise
    except OSError as error:
        what = "is damaged or cut short" if error.errno is None else "cannot be read"  # Pillow's have no number
        raise ImageError(f"{name}: {str(path)!r} {what} ({error.strerror or error})") from error
    except Exception as error:  # Pillow raises whatever a file that is damaged or cut short leads it to
        raise ImageError(f"{name}: {str(path)!r} is damaged or cut short ({error})") from error


def _alike(path: Path) -> str:
    """Words for a file beside this missing one whose name differs in its ending or its letters' case alone."""
    stems, endings = {path.stem, path.stem.lower(), path.stem.upper()}, (".jpg", ".jpeg", ".png", path.suffix)
    names = sorted(stem + end for stem in stems for ending in endings for end in {ending.lower(), ending.upper()})
    found = [name for name in names if path.with_name(name).is_file()]
    return f"; there is {found[0]!r}" if found else ""


def frames(picture: Image.Image) -> int:
    """How many pictures a file holds, one after the other: an animation's, or a TIFF's pages.

    An MPO file counts as one: cameras and phones put a preview behind the photograph.
    """
    return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))


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


def _losses(picture: Image.Image) -> Iterator[str]:
    """What `read_image` leaves out or guesses of a picture, and what to do about it."""
    if (count := frames(picture)) > 1:
        yield f"holds {count} pictures, expected one: the first is used"
    if picture.mode in DEEP:
        samples = np.asarray(picture)
        finite = samples[np.isfinite(samples)]
        if odd := samples.size - finite.size:
            yield f"has {odd} samples that are NaN or infinite: NaN is read as black, infinity as white"
        if (lowest := float(finite.min(initial=0))) < 0:
            yield f"has samples down to {lowest:g}, expected 0..255: those below 0 are black; scale them yourself"
        if (deepest := float(finite.max(initial=0))) > 255:
            yield (
                f"has samples up to {deepest:g}, expected 8 bits, 0..255: integers keep their high byte, floats "
                "above 255 are white; where that loses something, scale the samples yourself"
            )
    elif _was_deep_colour(picture):
        yield (
            "has colours of 16 bits, expected 8 bits, 0..255: they keep their high byte; where that loses "
            "something, read and scale them yourself"
        )


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
        whole = np.clip(samples, 0, 65535)
        return (whole >> 8 if samples.max(initial=0) > 255 else whole).astype(np.uint8)
    return (np.clip(samples, 0, top) * (255.0 / top)).astype(np.uint8)


def as_rgb(image: object, name: str = "image") -> UInt8[np.ndarray, "H W 3"]:
    """Check that an array is a picture: (H, W, 3) uint8, at least one pixel.

    Args:
        image: what should be one.
        name: what it is called in an error.

    Returns:
        The array as it came, never a copy.

    Raises:
        ImageError: names the argument, what came, and what was expected.

    >>> as_rgb(np.zeros((3, 4)), "photo")
    Traceback (most recent call last):
    dlseg.images.ImageError: photo: got (3, 4) of float64, expected (H, W, 3) of uint8
    """
    try:
        pixels = rgb_image(name, image)
    except (TypeError, ValueError) as error:
        raise ImageError(str(error)) from None
    if pixels.size == 0:
        raise ImageError(message(name, f"shape {pixels.shape}", "at least one pixel"))
    return pixels
