"""`srkit data`: obtain, simulate, show and check data sets."""
