//! What is on the players' port besides web files: each address with its method, and what answers there. Nothing else is
//! answered, so that whoever looks at the port from outside, as a test does, finds here all that there is.

use hyper::Method;

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The way into a match: a WebSocket.
    Socket,
    /// The games that there are.
    Games,
    /// The matches that there are.
    Matches,
    /// A new match.
    Create,
    /// One match.
    Match,
    /// A new ticket.
    Ticket,
    /// Whether the node is there.
    Health,
}

/// One of the port's addresses, under one method.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{id}` stands for a match.
    pub path: &'static str,
    /// What answers.
    pub place: Place,
}

/// All there are.
pub static PLAYERS: [Route; 7] = [
    Route { method: Method::GET, path: "/ws", place: Place::Socket },
    Route { method: Method::GET, path: "/v1/games", place: Place::Games },
    Route { method: Method::GET, path: "/v1/matches", place: Place::Matches },
    Route { method: Method::POST, path: "/v1/matches", place: Place::Create },
    Route { method: Method::GET, path: "/v1/matches/{id}", place: Place::Match },
    Route { method: Method::POST, path: "/v1/tickets", place: Place::Ticket },
    Route { method: Method::GET, path: "/healthz", place: Place::Health },
];

/// What there is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'p> {
    /// This, of the match that the path names, if it names one.
    Place(Place, &'p str),
    /// Something under other methods than this.
    Otherwise(String),
    /// Nothing.
    Nothing,
}

/// Looks for what answers there.
pub(super) fn find<'p>(method: &Method, path: &'p str) -> Found<'p> {
    let mut methods = Vec::new();
    for route in &PLAYERS {
        let Some(id) = fits(route.path, path) else { continue };
        if route.method == *method {
            return Found::Place(route.place, id);
        }
        methods.push(route.method.as_str());
    }
    if methods.is_empty() { Found::Nothing } else { Found::Otherwise(methods.join(", ")) }
}

/// What stands in a path in place of `{id}`, if the path fits; nothing where there is no such place.
fn fits<'p>(route: &str, path: &'p str) -> Option<&'p str> {
    match route.strip_suffix("{id}") {
        Some(begin) => path.strip_prefix(begin).filter(|id| !id.contains('/')),
        None => (route == path).then_some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_whole_and_a_method_is_the_one() {
        let get = |path| find(&Method::GET, path);
        assert_eq!(get("/v1/matches"), Found::Place(Place::Matches, ""));
        assert_eq!(get("/v1/matches/a1"), Found::Place(Place::Match, "a1"));
        assert_eq!(get("/v1/matches/"), Found::Place(Place::Match, ""));
        assert_eq!(find(&Method::POST, "/v1/matches"), Found::Place(Place::Create, ""));
        assert_eq!(find(&Method::PUT, "/v1/matches"), Found::Otherwise("GET, POST".to_owned()));
        assert_eq!(find(&Method::POST, "/v1/matches/a1"), Found::Otherwise("GET".to_owned()));
        for nothing in ["", "/", "/ws/", "//ws", "/v1", "/v1/matches/a1/end", "/v1/nodes", "/metrics"] {
            assert_eq!(get(nothing), Found::Nothing, "{nothing}");
        }
    }
}
