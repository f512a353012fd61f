"""Every kind of picture file comes out as RGB; what is no picture gets one clear error."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlseg.images import ImageError, as_rgb, read_image

RGB = np.zeros((4, 6, 3), np.uint8)
RGB[..., 0], RGB[:2, :, 1], RGB[:, :3, 2] = 200, 120, 40


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def test_rgb_as_it_is(tmp_path: Path) -> None:
    assert np.array_equal(read_image(save(tmp_path / "a.png", Image.fromarray(RGB))), RGB)


def test_grey_is_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(read_image(save(tmp_path / "a.png", Image.fromarray(grey))), np.stack([grey] * 3, -1))


def test_sixteen_bits_keep_the_high_byte(tmp_path: Path) -> None:
    deep = (np.arange(24, dtype=np.uint16) * 2700).reshape(4, 6)
    with pytest.warns(UserWarning, match=r"a\.png' has samples up to 62100, expected 8 bits"):
        got = read_image(save(tmp_path / "a.png", Image.fromarray(deep)))
    assert np.array_equal(got[..., 0], deep >> 8)


def test_deep_files_that_lose_nothing_are_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    read_image(save(tmp_path / "a.png", Image.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6))))
    read_image(save(tmp_path / "b.tif", Image.fromarray(np.full((4, 6), 0.5, np.float32))))
    assert not [w for w in recwarn if w.category is UserWarning]


def deep_png(path: Path, samples: np.ndarray, kind: int) -> Path:
    """A PNG of 16 bits a sample, which Pillow cannot write; kind: 2 RGB, 4 grey with alpha, 6 RGB with alpha."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_sixteen_bits_are_told_too(tmp_path: Path, alpha: bool) -> None:
    samples = RGB.astype(np.uint16) * 257
    if alpha:
        samples = np.dstack([samples, np.full((4, 6), 65535, np.uint16)])
    path = deep_png(tmp_path / "a.png", samples, 6 if alpha else 2)
    with pytest.warns(UserWarning, match=r"a\.png' has colours of 16 bits, expected 8 bits"):
        assert np.array_equal(read_image(path), RGB)


@pytest.mark.filterwarnings("error")
def test_eight_bits_are_no_reason_to_warn(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif", "a.bmp"):
        assert np.array_equal(read_image(save(tmp_path / name, Image.fromarray(RGB))), RGB)
        assert np.array_equal(read_image(save(tmp_path / name, Image.fromarray(RGB[..., 0])))[..., 1], RGB[..., 0])


def test_transparent_over_white(tmp_path: Path) -> None:
    rgba = np.dstack([RGB, np.full((4, 6), 0, np.uint8)])
    rgba[0, 0, 3] = 255
    got = read_image(save(tmp_path / "a.png", Image.fromarray(rgba)))
    assert np.array_equal(got[0, 0], RGB[0, 0]) and (got[1:] == 255).all()


def test_palette_and_cmyk(tmp_path: Path) -> None:
    got = read_image(save(tmp_path / "a.png", Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE)))
    assert np.array_equal(got, RGB)
    cmyk = read_image(save(tmp_path / "a.jpg", Image.fromarray(RGB).convert("CMYK"), quality=100))
    assert cmyk.shape == RGB.shape and np.abs(cmyk.astype(int) - RGB).mean() < 8


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn a quarter clockwise to show"
    got = read_image(save(tmp_path / "a.png", Image.fromarray(RGB), exif=exif))
    assert np.array_equal(got, np.rot90(RGB, -1))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n broken"])
def test_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png.* is (not an image|damaged)"):
        read_image(tmp_path / "a.png")


def test_cut_short(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.effect_noise((64, 64), 60))
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_image(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_image(tmp_path)


def test_too_large_is_said_before_it_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("1", (20_000, 3_000)))
    with pytest.raises(ImageError, match="20000 × 3000 = 60 million pixels, expected at most 50 million"):
        read_image(path)
    path = save(tmp_path / "b.png", Image.new("1", (20_000, 20_000)))
    with pytest.raises(ImageError, match="far too large"):
        read_image(path)


@pytest.mark.parametrize("bad", [RGB.astype(float), RGB[..., :2], RGB[..., 0], RGB[:0], [[1]], None])
def test_as_rgb_names_what_came(bad: object) -> None:
    with pytest.raises(ImageError, match="photo: got"):
        as_rgb(bad, "photo")


def test_as_rgb_copies_nothing() -> None:
    assert as_rgb(RGB) is RGB


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize(("odd", "becomes"), [(np.nan, 0), (np.inf, 255), (-np.inf, 0), (-3.4e38, 0)])
def test_one_odd_float_changes_no_other(tmp_path: Path, scale: float, odd: float, becomes: int) -> None:
    """A GeoTIFF's "no data", a division by zero: the rest of the picture stays as it is."""
    plain = np.linspace(0, scale, 48, dtype=np.float32).reshape(6, 8)
    spoilt = plain.copy()
    spoilt[2, 3] = odd
    Image.fromarray(plain).save(tmp_path / "plain.tif")
    Image.fromarray(spoilt).save(tmp_path / "spoilt.tif")
    expected = read_image(tmp_path / "plain.tif").copy()
    assert expected.max() == 255 and len(np.unique(expected)) == 48
    expected[2, 3] = becomes
    words = "samples down to -3.4e" if np.isfinite(odd) else "1 samples that are NaN or infinite"
    with pytest.warns(UserWarning, match=words):
        assert np.array_equal(read_image(tmp_path / "spoilt.tif"), expected)


def test_nothing_but_nan_is_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.warns(UserWarning, match=r"nan\.tif' has 20 samples that are NaN or infinite"):
        assert not read_image(tmp_path / "nan.tif").any()


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_pictures_with_a_warning(tmp_path: Path, ending: str) -> None:
    one = Image.fromarray(RGB)
    one.save(tmp_path / f"one.{ending}", lossless=True)
    one.save(tmp_path / f"two.{ending}", save_all=True, append_images=[one.rotate(180)], duration=50, lossless=True)
    with pytest.warns(UserWarning, match=rf"two\.{ending}' holds 2 pictures, expected one: the first is used"):
        found = read_image(tmp_path / f"two.{ending}")
    assert np.array_equal(found, read_image(tmp_path / f"one.{ending}"))


@pytest.mark.filterwarnings("error")
def test_a_phones_preview_is_no_second_picture(tmp_path: Path) -> None:
    one = Image.fromarray(RGB)
    one.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[one.resize((2, 2))])
    assert read_image(tmp_path / "a.jpg").shape == RGB.shape


def test_no_other_program_is_started_to_read_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match=r"a\.jpg' is not an image file that can be read \(AVIF, BMP, "):
        read_image(tmp_path / "a.jpg")
