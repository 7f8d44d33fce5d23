"""Right implementations, in unfamiliar ways: no doctor may accuse them."""
