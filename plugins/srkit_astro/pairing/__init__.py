"""`srkit data pair`: cut pairs from overlapping mosaics."""
