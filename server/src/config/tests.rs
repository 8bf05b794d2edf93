//! Settings: what beats what, and what is refused.

use super::*;

fn check(file: &str, flags: RawSettings) -> Result<Settings, BadSetting> {
    flags.or(toml::from_str(file).map_err(|error| BadSetting(error.to_string()))?).check()
}

#[test]
fn flags_beat_the_file_and_the_file_beats_defaults() {
    let flags = RawSettings { lease_ms: Some(700), ..RawSettings::default() };
    let settings = check("lease_ms = 900\nempty_after = 5\n[games.arena]\ndrones = 9\n", flags).unwrap();
    assert_eq!(settings.lease, Duration::from_millis(700));
    assert_eq!(settings.empty_after, Duration::from_secs(5));
    assert_eq!(settings.listen.port(), 7777);
    assert_eq!(settings.game_options["arena"]["drones"], 9);
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let refused = |file: &str| check(file, RawSettings::default()).unwrap_err().0;
    assert!(refused("hash_every = 17").contains("1 to 16"));
    assert!(refused("node = \"a b\"").contains("--node"));
    assert!(refused("lissten = 1").contains("unknown field `lissten`"));
    assert!(refused("bytes_per_second = 1").contains("2048 to 1000000"), "flattened fields are known");
    let short = refused("operator_token = \"secret\"");
    assert!(short.contains("at least 16") && !short.contains("secret"), "{short}");
    let short = refused("ticket_key = \"secret\"");
    assert!(short.contains("at least 32") && !short.contains("secret"), "{short}");
    assert!(refused("audience = \"a b\"").contains("--audience"));
}

#[test]
fn beyond_loopback_there_is_a_key_or_there_are_guests_on_purpose() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let joins = |file: &str| check(file, RawSettings::default()).map(|settings| settings.joins);
    for near in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
        let joins = joins(&format!("listen = \"{near}\"")).unwrap();
        assert!(joins.keys.is_none() && !joins.guests);
    }
    for far in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
        let listen = format!("listen = \"{far}\"\n");
        let BadSetting(refused) = joins(&listen).unwrap_err();
        assert!(refused.contains("TICKCAST_TICKET_KEY") && refused.contains("--guests"), "{refused}");
        assert!(joins(&format!("{listen}ticket_key = \"\"")).is_err());
        assert!(joins(&format!("{listen}guests = false")).is_err());
        assert!(joins(&format!("{listen}guests = true")).unwrap().guests);
        assert!(joins(&format!("{listen}ticket_key = \"{KEY}\"")).unwrap().keys.is_some());
    }
}
