"""What to try: the search space, the study, and the algorithms. The only room that imports Optuna."""
