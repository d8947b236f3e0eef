"""Privacy: what is stored of a customer, a copy of it for them, and taking it out again. See docs/privacy.md."""
