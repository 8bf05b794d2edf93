//! What only a Redis can do wrong: cut, freeze, restart, run full, be the wrong one.
