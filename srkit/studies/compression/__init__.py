"""`srkit eval --task compression`: restored compressed LR against compressed HR of equal size."""
