//! Both kinds over real sockets, against a client that reads, stops reading, breaks a rule or goes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use super::*;

/// For what a socket on this machine takes.
const WITHIN: Duration = Duration::from_secs(10);
/// More than a socket takes whose other end is not read.
const MUCH: usize = 32 << 20;

type Client = StreamOwned<ClientConnection, StdStream>;

fn sockets() -> (StdStream, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(WITHIN)).unwrap();
    (client, listener.accept().unwrap().0)
}

/// A session's two ends, with its handshake done.
fn under_tls() -> (Client, Transport) {
    let (client, server) = sockets();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["here".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client_config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let server_config = ServerConfig::builder().with_no_client_auth();
    let server_config = server_config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let name = ServerName::try_from("here").unwrap();
    let mut client = StreamOwned::new(ClientConnection::new(Arc::new(client_config), name).unwrap(), client);
    let mut session = ServerConnection::new(Arc::new(server_config)).unwrap();
    let shaking = std::thread::spawn(move || {
        client.write_all(b"first").unwrap();
        client
    });
    while session.is_handshaking() {
        session.complete_io(&mut &server).unwrap();
    }
    server.set_nonblocking(true).unwrap();
    (shaking.join().unwrap(), Transport::tls(TcpStream::from_std(server), session))
}

fn plain() -> (StdStream, Transport) {
    let (client, server) = sockets();
    server.set_nonblocking(true).unwrap();
    (client, Transport::Plain(TcpStream::from_std(server)))
}

/// Reads until there are so many bytes or the end.
fn read(transport: &Transport, count: usize) -> (Vec<u8>, bool) {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 1000]);
    while all.len() < count {
        match transport.read(&mut buffer) {
            Taken::Some { count, .. } => all.extend_from_slice(&buffer[..count]),
            Taken::Nothing => std::thread::yield_now(),
            Taken::End => return (all, true),
        }
    }
    (all, false)
}

/// Writes until the socket is full: how many bytes it and the session took.
fn fill(transport: &Transport) -> usize {
    let (piece, mut taken) = (vec![7; 50_000], 0);
    while taken < MUCH {
        let Written { count, is_full } = transport.write(&piece).unwrap();
        taken += count;
        if is_full {
            return taken;
        }
        assert_eq!(count, piece.len(), "what is not taken is a full socket's");
    }
    panic!("the socket takes all of it");
}

#[test]
fn what_the_session_holds_already_is_read_although_the_socket_has_nothing() {
    let (_client, transport) = under_tls();
    // It came with the last message of the handshake, or comes now; the buffer is smaller than it.
    let mut all = Vec::new();
    while all.len() < 5 {
        match transport.read(&mut [0; 2]) {
            Taken::Some { count, .. } => all.extend(vec![0; count]),
            Taken::Nothing => std::thread::yield_now(),
            Taken::End => panic!("the client is there"),
        }
    }
    assert_eq!(all.len(), 5);
    assert_eq!(transport.read(&mut [0; 10]), Taken::Nothing);
}

#[test]
fn a_full_socket_leaves_one_record_with_the_session_and_nothing_is_lost() {
    let (mut client, transport) = under_tls();
    let taken = fill(&transport);
    assert!(transport.holds());
    let Transport::Tls(tls) = &transport else { panic!("it is under TLS") };
    let mut held = Vec::new();
    for _ in 0..3 {
        assert_eq!(
            transport.write(&[1]).unwrap(),
            Written { count: 0, is_full: true },
            "nothing more is taken"
        );
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while transport.holds() {
                transport.write(&[]).unwrap();
                std::thread::yield_now();
            }
        });
        held.resize(taken, 0);
        client.read_exact(&mut held).unwrap();
    });
    assert!(held.iter().all(|byte| *byte == 7), "each byte once, in its order");
    assert_eq!(transport.write(&[1, 2]).unwrap(), Written { count: 2, is_full: false });
    assert!(!tls.lock().connection.wants_write());
    client.read_exact(&mut held[..2]).unwrap();
    assert_eq!(held[..2], [1, 2]);
}

#[test]
fn the_session_holds_one_record_at_most() {
    let (_client, transport) = under_tls();
    fill(&transport);
    let Transport::Tls(tls) = &transport else { panic!("it is under TLS") };
    let mut held = Vec::new();
    tls.lock().connection.write_tls(&mut held).unwrap();
    assert!((1..=RECORD_BYTES + 256).contains(&held.len()), "{} bytes", held.len());
    assert!(!tls.lock().connection.wants_write());
}

#[test]
fn a_plain_socket_that_is_full_holds_nothing() {
    let (mut client, transport) = plain();
    let taken = fill(&transport);
    assert!(!transport.holds());
    client.read_exact(&mut vec![0; taken]).unwrap();
    transport.end();
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn both_ends_say_that_it_is_over() {
    let (mut client, transport) = under_tls();
    assert_eq!(read(&transport, 5).0, b"first");
    transport.end();
    // Without a word of the server this is an error.
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);

    let (mut client, transport) = under_tls();
    client.write_all(b" and last").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(read(&transport, usize::MAX), (b"first and last".to_vec(), true));
}

#[test]
fn what_is_no_tls_ends_a_session_with_an_alert() {
    let (mut client, transport) = under_tls();
    client
        .sock
        .write_all(&[23, 3, 3, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .unwrap();
    assert_eq!(read(&transport, usize::MAX), (b"first".to_vec(), true));
    let told = client.read(&mut [0; 10]).unwrap_err().to_string();
    assert!(told.contains("BadRecordMac") || told.contains("DecryptError"), "{told}");
}

#[test]
fn a_session_without_a_byte_for_us_is_ended() {
    let (mut client, transport) = under_tls();
    assert_eq!(read(&transport, 5).0, b"first");
    let Transport::Tls(tls) = &transport else { panic!("it is under TLS") };
    tls.lock().void_bytes = VOID_BYTES_MAX - 1;
    client.conn.refresh_traffic_keys().unwrap();
    client.flush().unwrap();
    assert_eq!(read(&transport, 1), (Vec::new(), true));
}

#[test]
fn new_keys_of_the_client_are_taken_and_answered() {
    let (mut client, transport) = under_tls();
    assert_eq!(read(&transport, 5).0, b"first");
    for round in 0..5 {
        client.conn.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 100]).unwrap();
        assert_eq!(read(&transport, 100).0, [round; 100]);
        assert_eq!(transport.write(&[round]).unwrap(), Written { count: 1, is_full: false });
        let mut answer = [9];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [round]);
    }
}
