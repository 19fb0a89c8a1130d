"""Comparison pages: content, and slider, zoom and layout in a headless browser."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from astropy.io import fits
from browser_setup import Browser, browser, find_browser
from command_line import Srkit
from scipy.ndimage import gaussian_filter

STATE = """(() => {
  const stage = document.querySelector(".stage"), box = stage.getBoundingClientRect();
  const layers = [...document.querySelectorAll(".layer")];
  const seen = layers.filter((layer) => layer.style.visibility === "visible");
  const image = seen[0].firstElementChild.getBoundingClientRect();
  return {
    cut: Number(stage.getAttribute("aria-valuenow")),
    divider: parseFloat(document.querySelector(".divider").style.left),
    seen: seen.map((layer) => layer.firstElementChild.alt),
    clips: seen.map((layer) => layer.style.clipPath),
    crisp: seen.map((layer) => getComputedStyle(layer.firstElementChild).imageRendering),
    places: seen.map((layer) => {
      const place = layer.firstElementChild.getBoundingClientRect();
      return [place.left - box.left, place.top - box.top, place.width, place.height];
    }),
    tags: [...document.querySelectorAll(".tag")].map((tag) => tag.textContent),
    stage: [box.left, box.top, box.width, box.height],
  };
})()"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("needs Chromium")
    with browser(program) as page:
        yield page


def _picture(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).uniform(0, 255, (size[1], size[0], 3))
    PIL.Image.fromarray(gaussian_filter(values, (1, 1, 0)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def page(tmp_path: Path, srkit: Srkit) -> Path:
    name = "a_name_that_is_longer_than_a_phone_is_wide_by_far"
    _picture(tmp_path / f"{name}.png")
    done = srkit("compare", f"{name}.png", "-m", "lanczos", "-m", "bilinear", "--scale", "2")
    assert (done.status, done.out) == (0, f"page: {name}_compare.html\n")
    return tmp_path / f"{name}_compare.html"


def _middle(state: Any, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
    left, top, width, height = state["stage"]
    return left + across * width, top + down * height


def test_divider_follows_drag_and_keys(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200, 900)
    state = chromium.run(STATE)
    assert (state["cut"], state["tags"]) == (50, ["input", "lanczos"])
    assert state["clips"] == ["inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)"]
    chromium.drag(_middle(state), _middle(state, 0.25))
    state = chromium.run(STATE)
    assert state["divider"] == pytest.approx(25, abs=0.3)
    assert state["clips"][0].startswith("inset(0px 75")
    chromium.run("document.querySelector('.stage').focus()")
    for key, expected in (("ArrowRight", 27), ("ArrowLeft", 25), ("End", 100), ("Home", 0)):
        chromium.press(key)
        assert chromium.run(STATE)["cut"] == expected


def test_wheel_keys_and_buttons_zoom_both_layers(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200, 900)
    before = chromium.run(STATE)
    point = _middle(before, 0.25, 0.5)
    chromium.mouse("mouseWheel", *point, deltaX=0, deltaY=-200)
    after = chromium.run(STATE)
    assert after["places"][0] == after["places"][1]
    left, _, width, _ = after["places"][0]
    assert width / before["places"][0][2] == pytest.approx(np.exp(0.5), rel=1e-3)
    # The point below the pointer stays in place.
    shares = [
        (0.25 * each["stage"][2] - each["places"][0][0]) / each["places"][0][2]
        for each in (before, after)
    ]
    assert shares[1] == pytest.approx(shares[0], abs=0.005)
    chromium.drag(_middle(after, 0.8), _middle(after, 0.7))
    moved = chromium.run(STATE)
    expected = left - 0.1 * after["stage"][2]
    assert moved["places"][0][0] == pytest.approx(expected, abs=2)
    assert moved["cut"] == 50
    chromium.run("document.querySelector('.stage').focus()")
    chromium.press("0")
    assert chromium.run(STATE)["places"] == before["places"]
    chromium.press("+")
    assert chromium.run(STATE)["places"][0][2] == pytest.approx(1.5 * before["places"][0][2])
    chromium.run("document.querySelector('.out').click()")
    assert chromium.run(STATE)["places"][0][2] == pytest.approx(before["places"][0][2])


def test_pixels_stay_crisp(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200, 900)
    assert chromium.run(STATE)["crisp"] == ["pixelated", "pixelated"]
    assert chromium.run("document.images[0].naturalWidth") == 40
    assert chromium.run("document.images[1].naturalWidth") == 80


def test_any_two_layers_can_be_selected(page: Path, chromium: Browser) -> None:
    chromium.open(page, 1200, 900)
    chromium.run("document.querySelector('.stage').focus()")
    chromium.press("4")
    assert chromium.run(STATE)["tags"] == ["input", "bilinear"]
    chromium.run(
        "(() => { const s = document.querySelector('select.left'); s.value = 1; "
        "s.dispatchEvent(new Event('change')); })()"
    )
    state = chromium.run(STATE)
    assert (state["tags"], state["seen"]) == (["bicubic", "bilinear"], ["bicubic", "bilinear"])


@pytest.mark.parametrize("width", [320, 360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overflows(page: Path, chromium: Browser, width: int, dark: bool) -> None:
    chromium.open(page, width, 740, dark=dark)
    assert chromium.run("document.documentElement.scrollWidth <= innerWidth")
    beyond = (
        "[...document.querySelectorAll('h1, h2, p, select, button, .stage, .tag, .bar')].filter("
        "(e) => e.getBoundingClientRect().right > innerWidth + 0.5).length"
    )
    assert chromium.run(beyond) == 0
    paper, ink = chromium.run(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    brightness = [sum(map(int, re.findall(r"\d+", each)[:3])) for each in (paper, ink)]
    assert (brightness[0] < brightness[1]) == dark
    assert abs(brightness[0] - brightness[1]) > 500


def test_touch_moves_the_divider_and_zooms(page: Path, chromium: Browser) -> None:
    chromium.open(page, 360, 740)
    chromium.run("document.querySelector('.stage').scrollIntoView()")
    before = chromium.run(STATE)
    chromium.touch("touchStart", _middle(before))
    chromium.touch("touchMove", _middle(before, 0.7))
    chromium.touch("touchEnd")
    assert chromium.run(STATE)["cut"] == pytest.approx(70, abs=1)
    chromium.touch("touchStart", _middle(before, 0.4), _middle(before, 0.6))
    chromium.touch("touchMove", _middle(before, 0.3), _middle(before, 0.7))
    chromium.touch("touchEnd")
    after = chromium.run(STATE)
    assert after["places"][0][2] / before["places"][0][2] == pytest.approx(2, rel=0.02)
    assert after["cut"] == pytest.approx(70, abs=1)


@pytest.mark.parametrize(
    ("models", "first"), [("lanczos bicubic", "lanczos"), ("bicubic", "bicubic")]
)
def test_the_first_model_is_shown_beside_the_input(
    models: str, first: str, tmp_path: Path, srkit: Srkit, chromium: Browser
) -> None:
    _picture(tmp_path / "a.png")
    given = [word for model in models.split() for word in ("-m", model)]
    assert srkit("compare", "a.png", *given, "--scale", "2", "-o", "page.html").status == 0
    chromium.open(tmp_path / "page.html", 900, 700)
    assert chromium.run(STATE)["tags"] == ["input", first]


def test_frame_has_a_colour_bar_in_its_unit(
    tmp_path: Path, srkit: Srkit, chromium: Browser
) -> None:
    values = np.random.default_rng(1).normal(0, 1, (20, 30)).astype(np.float32)
    values[4, 5] = 100
    fits.writeto(tmp_path / "a.fits", values, fits.Header({"BUNIT": "nJy"}))
    done = srkit("upscale", "a.fits", "-m", "lanczos", "--scale", "2", "--compare")
    assert "page: a_x2_compare.html\n" in done.out
    chromium.open(tmp_path / "a_x2_compare.html", 360, 740)
    assert chromium.run("document.querySelector('.colours p').textContent") == "nJy"
    ticks = chromium.run(
        "[...document.querySelectorAll('.tick')].map((e) => [e.textContent, "
        "e.getBoundingClientRect().left, e.getBoundingClientRect().right])"
    )
    assert {"0", "10"} <= {text for text, _, _ in ticks}
    assert all(after[1] > before[2] for before, after in pairwise(ticks))


def test_scores_equal_those_of_a_ranking(tmp_path: Path, srkit: Srkit) -> None:
    hr = _picture(tmp_path / "hr.png", (80, 60))
    with PIL.Image.open(hr) as picture:
        picture.resize((40, 30), PIL.Image.Resampling.BICUBIC).save(tmp_path / "lr.png")
    done = srkit(
        *("compare", "lr.png", "-m", "nearest", "-m", "lanczos", "--scale", "2"),
        *("--reference", "hr.png", "-o", "page.html"),
    )
    assert (done.status, done.err) == (0, "")
    text = (tmp_path / "page.html").read_text("utf-8")
    rows = re.findall(r'<th scope="row">(\w+)</th>\s*<td>(?:<strong>)?([\d.]+)', text)
    models = ("nearest", "lanczos", "bicubic")
    ranked = srkit("rank", *models, "--on", "hr.png", "--scale", "2", "--lr", _lr(tmp_path))
    assert ranked.status == 0
    with (tmp_path / "runs" / "rank-hr.png-x2" / "ranking.csv").open() as file:
        expected = {row["model"]: float(row["psnr_y"]) for row in csv.DictReader(file)}
    assert {name: float(value) for name, value in rows} == pytest.approx(expected, abs=0.006)
    assert 'alt="HR"' in text


def _lr(folder: Path) -> Path:
    """Move LR to a folder, under the name of its HR."""
    (folder / "lr").mkdir()
    (folder / "lr.png").rename(folder / "lr" / "hr.png")
    return folder / "lr"


def test_many_outputs_share_a_page(tmp_path: Path, srkit: Srkit) -> None:
    for number in range(14):
        _picture(tmp_path / "in" / f"{number:02}.png", (20, 20))
    done = srkit("upscale", "in", "-m", "lanczos", "-o", "out", "--compare")
    text = (tmp_path / "out" / "compare.html").read_text("utf-8")
    assert done.out.splitlines()[-1] == "14 restored by lanczos"
    assert text.count('class="stage"') == 12
    assert "Shown are 12 of 14 images, evenly spread." in text


def test_page_is_self_contained(page: Path) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.read_text("utf-8"))
    assert addresses
    assert all(each.startswith(("data:", "#")) for each in addresses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "a.png"), "a.png: expected a file name that ends in .html"),
        (("--at", "3"), "--at: got '3'; expected a pixel of the input, such as 120,45"),
        (("--scale", "0"), "the scale must be positive, got 0"),
        (
            ("--reference", "a.png", "--scale", "2"),
            "a.png: the reference is 40 x 30 x 3 (width x height x channels) but SR is "
            "80 x 60 x 3; they must have the same size",
        ),
        ((), "no model determines the scale; add, for example, --scale 4"),
    ],
)
def test_errors(tmp_path: Path, srkit: Srkit, options: tuple[str, ...], message: str) -> None:
    _picture(tmp_path / "a.png")
    done = srkit("compare", "a.png", "-m", "lanczos", *options)
    assert (done.status, done.err) == (1, f"error: {message}\n")
    assert not list(tmp_path.glob("*.html"))
