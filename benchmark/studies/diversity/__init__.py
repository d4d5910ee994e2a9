"""`python -m benchmark.studies.diversity`: do learned diversity scorers follow the truth, what fools them?"""
