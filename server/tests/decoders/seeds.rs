//! Good inputs of every check: what a client, a node, a store and a person would say. Fuzzing begins with them, and the
//! tests damage them.

use tickcast_protocol::chat::ChatTo;
use tickcast_protocol::message::{ClientMessage, Join, PROTOCOL_VERSION};
use tickcast_protocol::{InputSeq, PlayerId, ResumeToken, SessionId, Tick};
use tickcast_server::backplane::mac::Stamp;
use tickcast_server::backplane::mac::envelope::{seal, seal_tick};
use tickcast_server::logic::channel::{self, Note, Upstream};
use tickcast_server::logic::orders::Order;
use tickcast_server::logic::placement::NodeEntry;
use tickcast_server::logic::resume::TokenDigest;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{codes, http, owner, sample, stored};

/// Good inputs of the check with this name.
pub(crate) fn seeds(check: &str) -> Vec<Vec<u8>> {
    match check {
        "channel" => channels(),
        "http" => http::seeds::seeds(),
        "socket" => sockets(),
        "stored" => hashes(),
        "words" => ["m1", "a-match_2", "node-0a1b"].map(|word| word.as_bytes().to_vec()).into(),
        "owner" => owners(),
        _ => panic!("no check is named {check}"),
    }
}

fn with_head(head: &[u8], payload: &[u8]) -> Vec<u8> {
    [head, payload].concat()
}

fn channels() -> Vec<Vec<u8>> {
    let player = PlayerId(2);
    let fields = sample::fields();
    let ring = (0..8).map(|slot| fields[format!("~d{slot}").as_bytes()].clone());
    let notes = [
        Note::Refused { player, code: 4505 },
        Note::Ended,
        Note::Released,
        Note::InputsLost,
        Note::Resumed { player, session: SessionId(77), attempt: 1 },
    ];
    let batch = [
        sample::join(2),
        Upstream::Resume {
            player,
            session: SessionId(77),
            attempt: 1,
            token: TokenDigest::of(&ResumeToken([2; 16])),
        },
        Upstream::Leave { player, token: TokenDigest::of(&ResumeToken([2; 16])) },
        Upstream::Input {
            player,
            seq: InputSeq(5),
            seen: Tick(300),
            behind: 64,
            values: vec![1, -1, 1000].into(),
        },
        Upstream::Present { players: vec![player, PlayerId(3)] },
    ];
    let (id, to) = (sample::id(), "n2".parse().ok());
    let orders = [Order::Take { id: id.clone() }, Order::HandOver { id, to }, Order::Drain];
    let entry = serde_json::to_vec(&NodeEntry::default()).expect("an entry is JSON");
    let from_owner =
        ring.chain(notes.iter().map(channel::encode_note)).map(|message| with_head(&[0], &message));
    let (keys, name, stamp) = (codes::keys(), codes::diff(), Stamp { sender: 7, sent_us: 1 });
    let note = channel::encode_note(&Note::Released);
    let coded = [seal_tick(&keys, &name, &fields[&b"~d1"[..]]), seal(&keys, &name, stamp, &note)];
    from_owner
        .chain(coded.iter().map(|message| with_head(&[4], message)))
        .chain([with_head(&[5], &[1, 128, 2, 128, 1, 129, 1, 128, 1, 250, 1, 2])])
        .chain([with_head(&[1], &channel::encode_upstream(&batch))])
        .chain(orders.iter().map(|order| with_head(&[2], &order.encode())))
        .chain([with_head(&[3], &entry)])
        .collect()
}

/// A client's frame, masked.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let header = FrameHeader { is_final, rsv1: false, rsv2: false, rsv3: false, opcode, mask: Some(mask) };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).expect("a vector takes any header");
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn hello() -> Vec<u8> {
    let join = Join::Quick { game: String::new() };
    let (name, ticket) = ("Ada".to_owned(), String::new());
    ClientMessage::Hello { protocol: PROTOCOL_VERSION, name, join, ticket }.to_frame()
}

fn sockets() -> Vec<Vec<u8>> {
    let binary = OpCode::Data(Data::Binary);
    let input =
        ClientMessage::Input { seq: InputSeq(1), seen: Tick(9), behind: 0, values: vec![0, 0, 0, 0].into() };
    let chat = ClientMessage::Chat { seq: 1, to: ChatTo::Everyone, text: "hello".to_owned() };
    let messages = [
        hello(),
        ClientMessage::Ping { nonce: 5 }.to_frame(),
        input.to_frame(),
        chat.to_frame(),
        ClientMessage::NeedSnapshot.to_frame(),
    ];
    let whole: Vec<u8> = messages.iter().flat_map(|message| frame(binary, true, message)).collect();
    let hello = hello();
    let (first, second) = hello.split_at(5);
    let in_pieces = [
        frame(binary, false, first),
        frame(OpCode::Control(Control::Ping), true, b"alive"),
        frame(OpCode::Data(Data::Continue), false, b""),
        frame(OpCode::Data(Data::Continue), true, second),
        frame(OpCode::Control(Control::Close), true, &1000u16.to_be_bytes()),
    ];
    let text = frame(OpCode::Data(Data::Text), true, "Zoë".as_bytes());
    let leave = [frame(binary, true, &hello), frame(binary, true, &ClientMessage::Leave.to_frame())].concat();
    vec![
        with_head(&[0], &whole),
        with_head(&[3], &whole),
        with_head(&[5], &in_pieces.concat()),
        with_head(&[0], &text),
        with_head(&[9], &leave),
    ]
}

fn hashes() -> Vec<Vec<u8>> {
    let edit = |form: u8, field: u8, bytes: &[u8]| with_head(&[form, field, bytes.len() as u8], bytes);
    vec![
        edit(stored::FLIP, 0, &[]),
        edit(stored::ADD, 0, b"~note of another program"),
        edit(stored::HASH, 0, &[]),
        // An owner that nobody knows.
        [edit(stored::ADD, 0, b"~owner stranger"), edit(stored::HASH, 0, &[])].concat(),
    ]
}

fn owners() -> Vec<Vec<u8>> {
    let token = TokenDigest::of(&ResumeToken([1; 16]));
    let leave = channel::encode_upstream(&[Upstream::Leave { player: PlayerId(1), token }]);
    let note = channel::encode_note(&Note::InputsLost);
    let told = |event: u8, message: &[u8]| with_head(&[event, message.len() as u8], message);
    vec![
        vec![
            owner::TICK,
            owner::HEAR,
            owner::JOIN,
            3,
            owner::TICK,
            owner::INPUT,
            3,
            1,
            owner::TICK,
            owner::HEAR,
        ],
        vec![
            owner::TICK,
            owner::TAKE_OVER,
            owner::TICK,
            owner::HEAR,
            owner::TICK,
            owner::LOSE,
            owner::TICK,
            owner::HEAR,
        ],
        [told(owner::UPSTREAM, &leave), vec![owner::TICK], told(owner::FORGE, &note), vec![owner::HEAR]]
            .concat(),
        vec![owner::TICK, owner::DAMAGE, 40, 1, owner::HEAR, owner::TICK, owner::HEAR],
    ]
}
