"""`srkit data check`: find damaged, duplicate and mismatched images."""
