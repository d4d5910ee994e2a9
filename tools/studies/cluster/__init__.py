"""What becomes of an evaluation on a cluster when something in it dies, and what a cluster costs."""
