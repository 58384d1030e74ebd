"""How good the search is: problems, methods, the loop that sets one on the other, and what is made of the runs."""
