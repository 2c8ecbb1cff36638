"""Events as text, as trace-cmd prints them."""
