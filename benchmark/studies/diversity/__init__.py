"""`python -m benchmark.studies.diversity`: do the learned diversity scorers follow the truth, and what fools them?"""
