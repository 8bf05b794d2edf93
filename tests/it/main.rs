<<<<<<< HEAD
fn main() {}
=======
//! Everything that is tested across packages, as one binary. One line per subject.

mod tidy;
>>>>>>> infra
