//! `tickcast-bots`: the load-test bots.

fn main() {}
