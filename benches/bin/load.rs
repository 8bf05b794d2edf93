//! `load`: measures tickcast beside the floor and others. Tables on standard output, all else on standard error.

use std::process::ExitCode;

use benches::load::{Flags, run};
use clap::Parser;

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: error: {error}");
            ExitCode::FAILURE
        }
    }
}
