"""The toolkit of every report: figures, image sheets and HTML pages."""

from srkit.report._notebook import Report, ReportTable
from srkit.report._tables import Column, print_columns
from srkit.report.colour_scales import MAD
from srkit.report.pages import Picture
from srkit.report.plotting import BETTER, GREY, WORSE, colours, panels, png, style
from srkit.report.sheets import pair_sheet
from srkit.report.writer import ReportWriter

__all__ = [
    "BETTER",
    "GREY",
    "MAD",
    "WORSE",
    "Column",
    "Picture",
    "Report",
    "ReportTable",
    "ReportWriter",
    "colours",
    "pair_sheet",
    "panels",
    "png",
    "print_columns",
    "style",
]
