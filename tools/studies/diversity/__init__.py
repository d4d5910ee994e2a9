"""`python -m tools.studies.diversity`: do learned diversity scorers follow the truth, what fools them?"""
