"""`srkit sweep`: train and compare variants of a recipe, or search its values."""
