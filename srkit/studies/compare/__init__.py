"""`srkit compare`: images side by side on one page."""
