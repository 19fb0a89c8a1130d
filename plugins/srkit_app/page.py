"""The page, built with Gradio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from srkit_app.restoring import literal, models_in, restore

#: How the page is served: to this machine only, with the fonts of the system.
LAUNCH: dict[str, Any] = {
    "share": False,
    "quiet": True,
    "prevent_thread_lock": True,
    "ssr_mode": False,
    "enable_monitoring": False,
    "footer_links": [],
    "theme": gr.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    ),
}
#: What is written above the page.
TITLE = """# srkit: larger pictures and frames
Drop pictures or FITS files, choose a size, and press the button. Files stay on this machine."""
#: The message if the button is pressed too early.
EMPTY = "- Drop a file first."


def build_page(folder: Path) -> gr.Blocks:
    """Build the page.

    Parameters
    ----------
    folder
        The working folder, whose runs can be chosen as models.
    """
    with gr.Blocks(title="srkit", analytics_enabled=False) as page:
        gr.Markdown(TITLE)
        pairs = gr.State({})
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                files = gr.File(label="Pictures or FITS files", file_count="multiple")
                scale = gr.Radio(
                    [("2 times", 2), ("3 times", 3), ("4 times", 4)], value=2, label="Size"
                )
                width = gr.Number(label="Or width in pixels (0: by size)", precision=0, value=0)
                model = gr.Dropdown(
                    (models := models_in(folder)),
                    value=models[0],
                    label="Model",
                    info="Or type a run folder, a weight file, or the name of published weights.",
                    allow_custom_value=True,
                )
                button = gr.Button("Enlarge", variant="primary")
            with gr.Column(scale=3, min_width=300):
                chosen = gr.Dropdown([], label="File", visible=False)
                slider = gr.ImageSlider(
                    label="Before | after",
                    type="pil",
                    format="png",
                    max_height=600,
                    interactive=False,
                    buttons=["fullscreen"],
                )
                results = gr.File(
                    label="Download", file_count="multiple", interactive=False, visible=False
                )
                messages = gr.Markdown(elem_id="messages")

        button.click(
            _press,
            [files, model, scale, width],
            [pairs, chosen, slider, results, messages],
            api_name="enlarge",
            show_progress_on=slider,
        )
        chosen.input(lambda shown, name: shown.get(name), [pairs, chosen], slider, api_name=False)
    return page


def _press(
    files: list[str] | None,
    model: str,
    scale: float,
    width: float | None,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio finds it by this default
) -> list[Any]:
    """Restore the files, and return what the page shows."""
    if not files:
        return [{}, gr.Dropdown(visible=False), None, gr.File(visible=False), EMPTY]
    found = restore(
        files,
        model,
        scale,
        int(width) if width else None,
        lambda share, name: progress(share, desc=name),
    )
    names = list(found.shown)
    return [
        found.shown,
        gr.Dropdown(names, value=next(iter(names), None), visible=len(names) > 1),
        found.shown.get(names[0]) if names else None,
        gr.File([str(path) for path in found.files], visible=bool(found.files)),
        "\n".join(f"- {literal(message)}" for message in found.messages),
    ]
