from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from scipy.stats import gennorm
from skimage.data import astronaut, chelsea, coffee
from srkit_pixels import niqe

from srkit.errors import DataError
from srkit.interfaces import Batch

#: What basicsr 1.4.2 gives for the pictures of Set5, whole; it reports to agree with the authors'
#: MATLAB code to 1e-5 on another picture.
SET5 = {"baby": 3.2655, "bird": 4.3621, "butterfly": 5.1549, "head": 8.3505, "woman": 4.3890}


def batch(hr: torch.Tensor) -> Batch:
    return Batch(names=["picture"] * len(hr), hr=hr, seeds=range(len(hr)))


def portrait() -> torch.Tensor:
    return torch.from_numpy(astronaut().copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.shared
@pytest.mark.parametrize("name", SET5)
def test_equals_basicsr(shared: Path, name: str) -> None:
    with Picture.open(shared / "data" / "set5" / "HR" / f"{name}.png") as picture:
        pixels = np.array(picture.convert("RGB"))
    hr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    # On flat areas the two differ in how they round.
    assert niqe.NIQE()(hr, batch(hr)).item() == pytest.approx(SET5[name], abs=0.01)


def test_blur_and_noise_are_unnatural() -> None:
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
        # Their scale, on either side, is scipy's.
        assert [*left, *right] == pytest.approx([1.5] * 4, rel=0.02)


def test_the_fit_tells_left_from_right() -> None:
    values = np.random.default_rng(0).normal(size=(1, 300, 300))
    _, left, right = niqe._fit(np.where(values < 0, 3 * values, values))
    assert left / right == pytest.approx([3], rel=0.02)


def test_too_small_and_flat_pictures_have_none() -> None:
    metric = niqe.NIQE()
    small, flat = portrait()[..., :191, :96], torch.full((1, 3, 192, 192), 0.5)
    assert metric(small, batch(small)).isnan().item()
    assert metric(flat, batch(flat)).isnan().item()


def test_crop_leaves_borders_out() -> None:
    hr = portrait()
    inside = hr[..., 4:-4, 4:-4]
    found = niqe.NIQE(crop=4)(hr, batch(hr))
    torch.testing.assert_close(found, niqe.NIQE()(inside, batch(inside)))


def test_fits_what_it_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pictures").mkdir()
    turned = [np.rot90(each(), k) for each in (astronaut, coffee, chelsea) for k in range(4)]
    for number, pixels in enumerate(turned):
        Picture.fromarray(pixels).save(tmp_path / f"pictures/{number}.png")
    out = tmp_path / "own.npz"
    niqe.fit_niqe(pictures=tmp_path / "pictures", out=out)
    assert capsys.readouterr().out == f"{out}: what 12 pictures look like\n"
    # By hand: the mean over the blocks whose sharpness is above 0.75 of the picture's greatest.
    chosen = []
    for pixels in turned:
        grey = (pixels.astype(float) @ [65.481, 128.553, 24.966] / 255 + 16).round()
        found, sharpness = niqe.features(grey)
        chosen += [f for f, s in zip(found, sharpness, strict=True) if s > 0.75 * sharpness.max()]
    pristine = niqe.Pristine.read(out)
    np.testing.assert_allclose(pristine.mean, np.mean(chosen, 0), rtol=1e-4, atol=1e-6)
    metric = niqe.NIQE(model=out)
    assert metric.protocol.endswith("blocks of 96 x 96, against own.npz")
    assert metric(portrait(), batch(portrait())).item() > 0


def test_refuses_too_few_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")
    assert str(caught.value) == (
        f"{tmp_path}: holds no picture; expected a folder of pristine ones"
    )
    Picture.fromarray(astronaut()).save(tmp_path / "one.png")
    with pytest.raises(DataError, match=r" sharp blocks of 96 x 96 pixels; at least 37 are needed"):
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")
    Picture.fromarray(astronaut()[:90]).save(tmp_path / "two.png")
    message = r"two\.png: has 90 x 512 pixels; expected at least 96 x 96$"
    with pytest.raises(DataError, match=message):
        niqe.fit_niqe(pictures=tmp_path, out=tmp_path / "own.npz")


def test_refuses_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, mean=np.zeros(3), covariance=np.zeros((36, 36)))
    with pytest.raises(DataError) as caught:
        niqe.NIQE(model=path)
    assert str(caught.value) == (
        f"{path}: holds a mean of shape (3,) and a covariance of shape (36, 36); expected (36,) "
        "and (36, 36)"
    )
    path.write_text("no archive", encoding="utf-8")
    with pytest.raises(DataError, match=r"model\.npz: holds no parameters of NIQE \("):
        niqe.NIQE(model=path)
    with pytest.raises(DataError, match=r"none\.npz: holds no parameters of NIQE \("):
        niqe.NIQE(model=tmp_path / "none.npz")
