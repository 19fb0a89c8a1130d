"""`srkit compare`: SR of several models on one page, with a slider."""
