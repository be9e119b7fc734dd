"""The ladder: facts, a budget, cheap arms first, and what is to be concluded from them."""
