//! A player without a picture: joins any match of arena, runs in a circle, and tells once per second where it is.
//! `cargo run -p tickcast-client --example headless -- [SECONDS] [ws://HOST:PORT ...]`

use std::time::Duration;

use tickcast_client::{Connection, Failure, News, Target};
use tickcast_protocol::client::Event;
use tickcast_protocol::message::Join;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map_or(10, |text| text.parse().expect("SECONDS is a number"));
    let mut nodes: Vec<Target> =
        args.map(|url| url.parse().unwrap_or_else(|error| panic!("{error}"))).collect();
    if nodes.is_empty() {
        nodes.push("ws://127.0.0.1:7777".parse().expect("an address"));
    }
    let mut connection =
        Connection::open(&nodes, "headless", Join::Quick { game: "arena".to_owned() }).await?;
    println!("joined match {} at {}", connection.joined().match_id, connection.joined().node);
    let end = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            news = connection.next() => match news? {
                News::Frame(Event::Advanced | Event::CaughtUp) => play(&mut connection),
                News::Lost(failure) => println!("connecting again: {failure}"),
                News::Resumed => println!("back as the same player"),
                News::Frame(_) => {}
            },
        }
    }
    connection.leave().await;
    Ok(())
}

/// One input per tick: an eighth of a circle per second, firing ahead.
fn play(connection: &mut Connection) {
    let (tick, hz) = (connection.replica().position().tick.0, connection.joined().tick_rate.hz());
    let turn = [[127, 0], [90, 90], [0, 127], [-90, 90], [-127, 0], [-90, -90], [0, -127], [90, -90]];
    let seconds = tick / u64::from(hz);
    let [x, y] = turn[seconds as usize % 8];
    connection.input(&[x, y, 0, 1]);
    let world = connection.replica().world();
    if let Some(me) = connection.entity().filter(|_| tick.is_multiple_of(u64::from(hz))) {
        let kind = &world.schema().kinds()[usize::from(me.kind)];
        let field =
            |name: &str| kind.fields.iter().position(|field| field.name == name).map(|at| world.get(me, at));
        println!("tick {tick}: x {:?} y {:?} hp {:?}", field("x"), field("y"), field("hp"));
    }
}
