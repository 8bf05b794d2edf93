//! `floor`: the least that a server can do, to measure others by. See [`benches::floor`].

use std::io;
use std::net::SocketAddr;

use benches::floor::{Mode, Settings, serve};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(
    name = "floor",
    about = "Sends one ready-made frame per match and tick to everybody in it; there is no game"
)]
struct Flags {
    /// Where clients connect
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// How inputs are read
    #[arg(long, value_enum, default_value_t = Mode::Scan)]
    mode: Mode,
    /// Ticks per second; 0 sends nothing
    #[arg(long, value_name = "HZ", default_value_t = 20.0)]
    tick_rate: f64,
    /// Bytes of an update
    #[arg(long, value_name = "N", default_value_t = 388)]
    bytes: u16,
    /// Groups of matches whose ticks are spread over the time of one tick
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    phases: u16,
}

fn main() -> io::Result<()> {
    let Flags { listen, mode, tick_rate, bytes, phases } = Flags::parse();
    serve(Settings { listen, mode, tick_rate, bytes: bytes.into(), phases: phases.into() })
}
