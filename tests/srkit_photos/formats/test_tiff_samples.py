"""The samples of TIFF files: opacity, bands, pixels without a value, and codecs."""

from __future__ import annotations

import io
import struct
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
from frames_setup import by_windows
from upscale_setup import upscale_file

from srkit.components.registry import Registry
from srkit.errors import DataError
from srkit.images.formats import Formats
from srkit.models.open import open_model
from srkit.upscaling.upscaler import ImageUpscaler

RNG = np.random.default_rng(7)
#: What `imwrite` needs for images of more samples than colours.
RGB: dict[str, Any] = {"photometric": "rgb", "metadata": None}


@pytest.fixture(scope="module")
def upscaler() -> ImageUpscaler:
    return ImageUpscaler(open_model("nearest", Registry.discover(), scale=2))


def _large(windows: bool) -> Any:
    """Restore frames in windows, or whole."""
    return by_windows() if windows else nullcontext()


def _twice(values: np.ndarray) -> np.ndarray:
    return values.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("windows", [False, True])
def test_an_unspecified_sample_is_a_band(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, dtype: str, windows: bool
) -> None:
    values = (RNG.random((9, 12, 4)) * 200).astype(dtype)
    values[2, 3, 3] = 0  # which would hide the colours
    tifffile.imwrite(tmp_path / "a.tif", values, extrasamples=["unspecified"], **RGB)
    with _large(windows):
        notes = upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats)
    assert notes[0] == "the meaning of sample 4 is not stated; read as a band, not opacity"
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        page = file.pages[0].aspage()
        np.testing.assert_allclose(page.asarray(), _twice(values), rtol=1e-6)
        assert (page.photometric, page.extrasamples) == (2, (0,))


def test_bands_beside_opacity_and_grey(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    values = RNG.integers(0, 256, (9, 12, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, extrasamples=["unassalpha", 0], **RGB)
    image = formats.read(tmp_path / "a.tif")
    bands = np.moveaxis(values[..., [0, 1, 2, 4]], -1, 0)
    np.testing.assert_array_equal((image.pixels * 255).round(), bands)
    np.testing.assert_array_equal((image.metadata["alpha"][0] * 255).round(), values[..., 3])
    grey = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    tifffile.imwrite(tmp_path / "c.tif", values, **grey)
    assert upscale_file(tmp_path / "c.tif", tmp_path / "d.tif", upscaler, formats)[1:] == []
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "d.tif"), _twice(values))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("windows", [False, True])
def test_premultiplied_colours_are_divided_by_the_opacity(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler, dtype: str, windows: bool
) -> None:
    white = np.iinfo(dtype).max
    straight = RNG.integers(0, white + 1, (9, 12, 3)).astype(np.int64)
    alpha = RNG.integers(0, white + 1, (9, 12, 1)).astype(np.int64)
    alpha[:2] = 0
    stored = np.concatenate([straight * alpha // white, alpha], -1)
    tifffile.imwrite(tmp_path / "a.tif", stored.astype(dtype), extrasamples=["assocalpha"], **RGB)
    with _large(windows):
        assert upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    found = tifffile.imread(tmp_path / "b.tif").astype(np.int64)
    np.testing.assert_array_equal(found[..., 3], _twice(alpha)[..., 0])
    expected = np.where(alpha > 0, stored[..., :3] * white / np.maximum(alpha, 1), 0)
    visible = _twice(alpha[..., 0]) > white // 256
    assert np.abs(found[..., :3] - _twice(expected))[visible].max() <= 1


def test_premultiplied_floats(tmp_path: Path, formats: Formats) -> None:
    stored = np.array([[[0.5, 0.25, 1.0, 0.5], [0.1, 0.2, 0.3, 0.0]]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", stored, extrasamples=["assocalpha"], **RGB)
    image = formats.read(tmp_path / "a.tif")
    assert image.pixels[:, 0].T.tolist() == [[1.0, 0.5, 2.0], [0.0, 0.0, 0.0]]
    assert image.data_range == (0.0, 2.0)
    formats.write(tmp_path / "b.tif", image)  # the opacity is not scaled to the data range
    assert tifffile.imread(tmp_path / "b.tif")[0, :, 3].tolist() == [0.5, 0.0]


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    ("dtype", "nodata", "tag", "note"),
    [
        ("i2", -9999, "-9999", "pixels of its NODATA value -9999 have no value"),
        ("f4", -9999, "-9999 ", "pixels of its NODATA value -9999 have no value"),
        ("u1", 0, "0", "pixels of its NODATA value 0 have no value"),
        ("f4", -3.4028234663852886e38, "-3.40282346638529e+38", "pixels of its NODATA value -3.4"),
        ("f4", -3.4028234663852886e38, None, "pixels of -3.40282e+38 are taken to have no value"),
        ("f4", 1e20, None, "pixels of 1e+20 are taken to have no value"),
    ],
)
def test_pixels_without_a_value(
    tmp_path: Path,
    formats: Formats,
    windows: bool,
    dtype: str,
    nodata: float,
    tag: str | None,
    note: str,
) -> None:
    values = RNG.integers(1, 100, (12, 16)).astype(dtype)
    values[5, 7] = nodata
    tags = [] if tag is None else [(42113, 2, 0, tag, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, metadata=None, extratags=tags)
    model = open_model("bicubic", Registry.discover(), scale=2)
    with _large(windows):
        notes = upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", ImageUpscaler(model), formats)
    assert any(each.startswith(note) for each in notes)
    assert "1 pixel has no value, and none in SR either" in notes
    found = tifffile.imread(tmp_path / "b.tif")
    assert np.argwhere(np.isnan(found)).tolist() == [[10, 14], [10, 15], [11, 14], [11, 15]]
    assert np.nanmin(found) > -60 and np.nanmax(found) < 160


def test_nodata_that_no_pixel_can_have(tmp_path: Path, formats: Formats) -> None:
    values = RNG.integers(0, 256, (5, 6), np.uint8)
    for tag, notes in (
        ("-9999", None),
        ("nan", None),
        ("none", ["its NODATA value 'none' is not a number and is not used"]),
    ):
        tags = [(42113, 2, 0, tag, True)]
        tifffile.imwrite(tmp_path / "a.tif", values, metadata=None, extratags=tags)
        image = formats.read(tmp_path / "a.tif")
        assert (image.metadata["bits"], image.metadata.get("notes")) == (8, notes)


def test_values_too_small_for_float32(
    tmp_path: Path, formats: Formats, upscaler: ImageUpscaler
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 5), 1e-40, np.float32))
    for windows in (False, True):
        with _large(windows), pytest.raises(Exception, match="too small for float32, at most"):
            upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats)


@pytest.fixture
def without_imagecodecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode as if imagecodecs were not installed."""

    decode_available = tifffile.TiffPage.decode.func

    def refuse(page: Any) -> Any:
        if page.compression in (1, 8):  # of the outputs
            return decode_available(page)

        def decode(*args: Any, **options: Any) -> Any:
            raise ValueError("requires the 'imagecodecs' package")

        return decode

    monkeypatch.setattr(tifffile.TiffPage, "decode", property(refuse))


def _predicted(values: np.ndarray) -> bytes:
    """Return rows as differences from the left neighbour."""
    whole = values.view(f"u{values.dtype.itemsize}")
    first = np.zeros_like(whole[:, :1])
    return np.diff(whole, axis=1, prepend=first).astype(whole.dtype).tobytes()


def _float_predicted(values: np.ndarray) -> bytes:
    """Return rows of floats as planes of their bytes, as differences (Adobe Technical Note 3)."""
    rows, columns, samples = values.shape
    big = values.astype(values.dtype.newbyteorder(">")).view(np.uint8)
    planes = big.reshape(rows, columns * samples, -1).swapaxes(1, 2).reshape(rows, -1, samples)
    return np.diff(planes, axis=1, prepend=np.zeros_like(planes[:, :1])).tobytes()


def _compressed(content: bytes, compression: str) -> bytes:
    """Compress bytes by libtiff, as one strip of a grey picture."""
    file = io.BytesIO()
    picture = PIL.Image.frombytes("L", (len(content), 1), content)
    picture.save(file, "TIFF", compression=compression)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        page = tiff.pages[0].aspage()
        assert len(page.dataoffsets) == 1
        tiff.filehandle.seek(page.dataoffsets[0])
        return tiff.filehandle.read(page.databytecounts[0])


def _strips(path: Path, values: np.ndarray, strips: list[bytes], tags: dict[int, int]) -> None:
    """Write strips of 5 rows that are compressed already."""
    samples = values.shape[2]
    content, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(content))
        content += strip + b"\0" * (len(strip) % 2)
    place = 8 + len(content)
    lists = struct.pack(f"<{2 * len(strips)}L", *offsets, *map(len, strips))
    bits = struct.pack(f"<{samples}H", *[values.dtype.itemsize * 8] * samples)
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    kinds = struct.pack(f"<{samples}H", *[kind] * samples)
    end = place + len(lists)
    known = {
        256: (4, 1, values.shape[1]),
        257: (4, 1, values.shape[0]),
        258: (3, samples, end),
        262: (3, 1, 2),
        273: (4, len(strips), place),
        277: (3, 1, samples),
        278: (4, 1, 5),
        279: (4, len(strips), place + 4 * len(strips)),
        284: (3, 1, 1),
        339: (3, samples, end + len(bits)),
        **{tag: (3, 1, value) for tag, value in tags.items()},
    }
    directory = b"".join(struct.pack("<HHLL", tag, *known[tag]) for tag in sorted(known))
    start = end + len(bits) + len(kinds)
    path.write_bytes(
        b"II*\0"
        + struct.pack("<L", start)
        + content
        + lists
        + bits
        + kinds
        + struct.pack("<H", len(known))
        + directory
        + b"\0\0\0\0"
    )


@pytest.mark.usefixtures("without_imagecodecs")
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("windows", [False, True])
def test_lzw_without_imagecodecs(
    tmp_path: Path,
    formats: Formats,
    upscaler: ImageUpscaler,
    dtype: str,
    predictor: int,
    windows: bool,
) -> None:
    if predictor == 3 and dtype != "f4":
        pytest.skip("this predictor is for floats")
    values = (RNG.random((12, 7, 3)) * 250).astype(dtype)
    encode = {1: np.ndarray.tobytes, 2: _predicted, 3: _float_predicted}[predictor]
    parts = [np.ascontiguousarray(values[top : top + 5]) for top in (0, 5, 10)]
    strips = [_compressed(encode(part), "tiff_lzw") for part in parts]
    _strips(tmp_path / "a.tif", values, strips, {259: 5, 317: predictor})
    with _large(windows):
        assert upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", upscaler, formats) == []
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), _twice(values), rtol=1e-6)


@pytest.mark.usefixtures("without_imagecodecs")
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_without_imagecodecs(tmp_path: Path, formats: Formats, mode: str) -> None:
    ramp = np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)
    picture = PIL.Image.fromarray(np.dstack([ramp, ramp[::-1], ramp[:, ::-1]])).convert(mode)
    picture.save(tmp_path / "a.tif", compression="jpeg", quality=95)
    with PIL.Image.open(tmp_path / "a.tif") as opened:
        expected = np.array(opened.convert("L" if mode == "L" else "RGB"))
    found = (formats.read(tmp_path / "a.tif").pixels * 255).movedim(0, -1).numpy().squeeze()
    assert np.abs(found - expected).max() <= (2 if mode == "CMYK" else 0.01)


@pytest.mark.usefixtures("without_imagecodecs")
@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_fax_without_imagecodecs(tmp_path: Path, formats: Formats, compression: str) -> None:
    values = RNG.random((10, 40)) > 0.5
    PIL.Image.fromarray(values).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(formats.read(tmp_path / "a.tif").pixels[0], values)


@pytest.mark.usefixtures("without_imagecodecs")
def test_a_codec_that_is_missing(tmp_path: Path, formats: Formats) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 5), np.uint8), metadata=None)
    content = bytearray(path.read_bytes())
    entry = content.index(struct.pack("<HHL", 259, 3, 1))
    content[entry + 8 : entry + 10] = struct.pack("<H", 34887)  # LERC
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        formats.read(path)
    assert str(caught.value) == (
        f"{path}: its compression LERC is decoded by the package imagecodecs, which is not "
        'installed; pip install "srkit[tiff]"'
    )


@pytest.mark.parametrize("bits", [2, 4])
def test_levels_of_few_bits_reach_white(tmp_path: Path, formats: Formats, bits: int) -> None:
    pytest.importorskip("imagecodecs")
    levels = RNG.integers(0, 2**bits, (6, 16))
    packed = np.zeros((6, 16 * bits // 8), np.uint8)
    for column in range(16):
        place = column * bits
        packed[:, place // 8] |= (levels[:, column] << (8 - bits - place % 8)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, packed, metadata=None)
    content = bytearray(path.read_bytes())
    for tag, value in ((256, 16), (258, bits)):
        entry = next(
            at for kind in (3, 4) if (at := content.find(struct.pack("<HHL", tag, kind, 1))) >= 0
        )
        content[entry + 8 : entry + 10] = struct.pack("<H", value)
    path.write_bytes(content)
    found = formats.read(path).pixels[0] * (2**bits - 1)
    np.testing.assert_allclose(found, levels, atol=1e-5)
