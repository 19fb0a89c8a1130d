"""The toolkit of every report: tables, figures and HTML pages."""
