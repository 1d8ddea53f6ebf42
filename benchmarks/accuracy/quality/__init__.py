"""How well quality predicts false non-matches, and error rates of the quality codes."""
