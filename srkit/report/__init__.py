"""The toolkit of every report: figures, image sheets and HTML pages."""

from srkit.report.colour_scales import MAD
from srkit.report.pages import Picture
from srkit.report.plotting import BETTER, GREY, WORSE, png, style
from srkit.report.sheets import pair_sheet
from srkit.report.writer import ReportWriter

__all__ = [
    "BETTER",
    "GREY",
    "MAD",
    "WORSE",
    "Picture",
    "ReportWriter",
    "pair_sheet",
    "png",
    "style",
]
