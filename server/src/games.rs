//! The demo games.
