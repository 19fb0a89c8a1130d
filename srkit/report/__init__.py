"""The toolkit of every report: tables, figures and HTML pages."""

from srkit.report.colour_scales import MAD
from srkit.report.details import CropBox
from srkit.report.metric_info import MetricInfo
from srkit.report.pages import Picture, render_page
from srkit.report.pictures import ImageRow
from srkit.report.plotting import BETTER, GREY, WORSE, png, style
from srkit.report.sheets import pair_sheet
from srkit.report.tables import Column, csv_text, format_value, print_columns, strict
from srkit.report.writer import ReportWriter

__all__ = [
    "BETTER",
    "GREY",
    "MAD",
    "WORSE",
    "Column",
    "CropBox",
    "ImageRow",
    "MetricInfo",
    "Picture",
    "ReportWriter",
    "csv_text",
    "format_value",
    "pair_sheet",
    "png",
    "print_columns",
    "render_page",
    "strict",
    "style",
]
