"""`fbench regress`: a divergence trained on the embedded world, and held against committed training runs."""
