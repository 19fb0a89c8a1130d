"""`srkit data pair`: pairs cut out of overlapping HSC and HST images."""
