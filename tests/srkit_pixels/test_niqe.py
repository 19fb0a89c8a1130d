from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from scipy.stats import gennorm
from skimage.data import astronaut
from srkit_pixels import niqe

from srkit.errors import DataError
from srkit.interfaces import Batch

#: Values of basicsr 1.4.2 for the pictures of Set5, not cropped; according to its authors, it
#: agrees with the MATLAB release to 1e-5 on another picture.
SET5 = {"baby": 3.2655, "bird": 4.3621, "butterfly": 5.1549, "head": 8.3505, "woman": 4.3890}


def batch(hr: torch.Tensor) -> Batch:
    return Batch(names=["picture"] * len(hr), hr=hr, seeds=range(len(hr)))


def portrait() -> torch.Tensor:
    return torch.from_numpy(astronaut().copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.shared
@pytest.mark.parametrize("name", SET5)
def test_niqe_agrees_with_basicsr(shared: Path, name: str) -> None:
    with Picture.open(shared / "data" / "set5" / "HR" / f"{name}.png") as picture:
        pixels = np.array(picture.convert("RGB"))
    hr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    # The two round differently in flat areas.
    assert niqe.NIQE()(hr, batch(hr)).item() == pytest.approx(SET5[name], abs=0.01)


def test_blur_and_noise_increase_niqe() -> None:
    hr = portrait()
    blurred = torch.nn.functional.avg_pool2d(hr, 5, stride=1, padding=2)
    noisy = hr + 0.1 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    metric = niqe.NIQE()
    values = [metric(image, batch(hr)).item() for image in (hr, blurred, noisy)]
    assert values[0] < min(values[1:])
    assert not metric.higher_is_better


def test_the_fit_finds_the_shape_of_generalised_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    for shape in (0.8, 2.0, 3.5):
        sample = gennorm.rvs(shape, scale=1.5, size=(2, 300, 300), random_state=rng)
        found, left, right = niqe._fit(sample)
        assert found == pytest.approx([shape] * 2, rel=0.03)
        # The scale on both sides is defined as in scipy.
        assert [*left, *right] == pytest.approx([1.5] * 4, rel=0.02)


def test_the_fit_distinguishes_left_and_right() -> None:
    values = np.random.default_rng(0).normal(size=(1, 300, 300))
    _, left, right = niqe._fit(np.where(values < 0, 3 * values, values))
    assert left / right == pytest.approx([3], rel=0.02)


def test_niqe_of_small_and_flat_pictures_is_undefined() -> None:
    metric = niqe.NIQE()
    small, flat = portrait()[..., :191, :96], torch.full((1, 3, 192, 192), 0.5)
    assert metric(small, batch(small)).isnan().item()
    assert metric(flat, batch(flat)).isnan().item()


def test_borders_are_cropped() -> None:
    hr = portrait()
    inside = hr[..., 4:-4, 4:-4]
    found = niqe.NIQE(crop=4)(hr, batch(hr))
    torch.testing.assert_close(found, niqe.NIQE()(inside, batch(inside)))


def test_fitted_parameters_are_written_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (672, 672, 3), np.uint8)
    pictures = [astronaut(), noise]  # with sharpness that varies, and 49 sharp blocks
    for number, pixels in enumerate(pictures):
        Picture.fromarray(pixels).save(tmp_path / f"pictures/{number}.png")
    out = tmp_path / "own.npz"
    niqe.fit_niqe(pictures=tmp_path / "pictures", out=out)
    assert capsys.readouterr().out == f"{out}: statistics of 2 pictures\n"
    # The mean over the blocks with more than 0.75 of the largest sharpness of their picture.
    chosen = []
    for pixels in pictures:
        grey = (pixels.astype(float) @ [65.481, 128.553, 24.966] / 255 + 16).round()
        found, sharpness = niqe.features(grey)
        chosen += [f for f, s in zip(found, sharpness, strict=True) if s > 0.75 * sharpness.max()]
    pristine = niqe.Pristine.read(out)
    np.testing.assert_allclose(pristine.mean, np.mean(chosen, 0), rtol=1e-4, atol=1e-6)
    metric = niqe.NIQE(model=out)
    assert metric.protocol.endswith("blocks of 96 x 96, compared with own.npz")
    assert metric(portrait(), batch(portrait())).item() > 0


def test_too_few_or_too_small_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")
    assert str(caught.value) == (
        f"{tmp_path}: contains no pictures; expected a folder of pristine ones"
    )
    Picture.fromarray(astronaut()).save(tmp_path / "one.png")
    with pytest.raises(DataError, match=r" sharp blocks of 96 x 96 pixels; at least 37 are needed"):
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")
    Picture.fromarray(astronaut()[:90]).save(tmp_path / "two.png")
    message = r"two\.png: the picture has 90 x 512 pixels; expected at least 96 x 96$"
    with pytest.raises(DataError, match=message):
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")


def test_files_without_parameters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, mean=np.zeros(3), covariance=np.zeros((36, 36)))
    with pytest.raises(DataError) as caught:
        niqe.NIQE(model=path)
    assert str(caught.value) == (
        f"{path}: the mean has the shape (3,) and the covariance (36, 36); expected (36,) and "
        "(36, 36)"
    )
    path.write_text("no archive", encoding="utf-8")
    with pytest.raises(DataError, match=r"model\.npz: cannot be read as parameters of NIQE \("):
        niqe.NIQE(model=path)
    with pytest.raises(DataError, match=r"none\.npz: cannot be read as parameters of NIQE \("):
        niqe.NIQE(model=tmp_path / "none.npz")
