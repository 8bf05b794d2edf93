//! What a client asked, by a reader that knows nothing of the node's: where each request begins and ends (RFC 9112), and
//! whether it may become a WebSocket (RFC 6455, section 4.2.1).

/// A request whose head is whole.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    target: String,
    is_http_11: bool,
    /// Names in small letters.
    headers: Vec<(String, Vec<u8>)>,
    /// Where it ends, with its body; as far as that is there.
    pub(super) end: usize,
}

/// How the bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// With a request, whole or not yet: whatever was asked is in the list.
    Nothing,
    /// In a head that is not whole, or is none: an error may be answered to it, and that is the last answer.
    NoHead,
    /// In a body of which nobody knows where it ends: its request is the last one.
    NoBody,
}

/// Whatever is asked, in its order.
pub(super) fn read(bytes: &[u8]) -> (Vec<Asked>, Rest) {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        if at == bytes.len() {
            return (all, Rest::Nothing);
        }
        // Empty lines before a request are passed over (RFC 9112, section 2.2). Without end they are no head.
        while let Some((b"", next)) = line(bytes, at) {
            at = next;
        }
        if at == bytes.len() {
            return (all, Rest::NoHead);
        }
        let Some(mut asked) = head(bytes, at) else { return (all, Rest::NoHead) };
        let ending = asked.ending();
        let end = match ending {
            Ending::Length(length) => asked.end.checked_add(length).filter(|end| *end <= bytes.len()),
            Ending::Chunked => chunks(bytes, asked.end),
            Ending::Unknown => None,
        };
        asked.end = end.unwrap_or(bytes.len());
        at = asked.end;
        all.push(asked);
        if end.is_none() {
            let is_unfinished = matches!(ending, Ending::Length(_));
            return (all, if is_unfinished { Rest::Nothing } else { Rest::NoBody });
        }
    }
}

/// The line that begins there, without its end, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[at..at + length];
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + length + 1))
}

fn head(bytes: &[u8], at: usize) -> Option<Asked> {
    let (first, mut at) = line(bytes, at)?;
    let mut words = first.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_http_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return None,
    };
    if words.next().is_some() || !is_token(method) || target.is_empty() {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let (header, next) = line(bytes, at)?;
        at = next;
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&header[..colon], header[colon + 1..].trim_ascii());
        let is_text = value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
        if !is_token(name) || !is_text {
            return None;
        }
        headers.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Asked { method: text(method), target: text(target), is_http_11, headers, end: at })
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &[u8]) -> bool {
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_sign)
}

/// Where the chunks end that begin there.
fn chunks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let (size, next) = line(bytes, at)?;
        let size = size.split(|byte| *byte == b';').next()?.trim_ascii();
        let size = usize::from_str_radix(str::from_utf8(size).ok()?, 16).ok()?;
        at = next;
        if size == 0 {
            break;
        }
        at = at.checked_add(size).filter(|at| *at <= bytes.len())?;
        let (b"", next) = line(bytes, at)? else { return None };
        at = next;
    }
    loop {
        let (trailer, next) = line(bytes, at)?;
        at = next;
        if trailer.is_empty() {
            return Some(at);
        }
    }
}

/// How a request's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Length(usize),
    Chunked,
    Unknown,
}

impl Asked {
    /// The values of a header.
    fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// The only value of a header, as text.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        let value = all.next()?;
        all.next().is_none().then(|| str::from_utf8(value).ok())?
    }

    /// Whether there is such a header.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The elements of a header that is a list, in small letters.
    fn list(&self, name: &str) -> Vec<String> {
        let values = self.all(name).map(|value| String::from_utf8_lossy(value).to_ascii_lowercase());
        values
            .flat_map(|value| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>())
            .collect()
    }

    /// RFC 9112, section 6.3. Where it is told in two ways the chunks count, and the connection is to end.
    fn ending(&self) -> Ending {
        let codings = self.list("transfer-encoding");
        match codings.last() {
            Some(last) if last == "chunked" && self.is_http_11 => return Ending::Chunked,
            Some(_) => return Ending::Unknown,
            None => {}
        }
        let mut lengths = self.all("content-length").map(|value| {
            let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            is_number.then(|| str::from_utf8(value).ok()?.parse::<usize>().ok())?
        });
        let Some(first) = lengths.next() else { return Ending::Length(0) };
        let agrees = lengths.all(|length| length == first);
        first.filter(|_| agrees).map_or(Ending::Unknown, Ending::Length)
    }

    /// Whether its end is told in two ways, or in one that HTTP/1.0 does not know.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ending() == Ending::Unknown || (self.has("transfer-encoding") && self.has("content-length"))
    }

    /// It is one of HTTP/1.1 and does not say once which host it asks (RFC 9112, section 3.2).
    pub(super) fn lacks_host(&self) -> bool {
        let is_name = |host: &str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        self.is_http_11 && !self.only("host").is_some_and(is_name)
    }

    /// What it asks for, without the host and what is behind a question mark.
    fn path(&self) -> &str {
        let path = match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => &self.target,
        };
        path.split('?').next().unwrap_or_default()
    }

    /// Whether it asks for a WebSocket, in whatever way.
    pub(super) fn wants_socket(&self) -> bool {
        self.path() == "/ws"
    }

    /// Whether it is a client's opening handshake, of a page of this very host or of none, and asks for `/ws`.
    pub(super) fn is_handshake(&self) -> bool {
        let has = |name: &str, word: &str| self.list(name).iter().any(|own| own == word);
        let from_here = match (self.has("origin"), self.only("origin"), self.only("host")) {
            (false, ..) => true,
            (true, Some(origin), Some(host)) => is_page_of(origin, host),
            _ => false,
        };
        self.method == "GET"
            && self.is_http_11
            && self.wants_socket()
            && self.only("host").is_some_and(|host| !host.is_empty())
            && has("upgrade", "websocket")
            && has("connection", "upgrade")
            && self.only("sec-websocket-version") == Some("13")
            && self.only("sec-websocket-key").is_some_and(is_key)
            && self.ending() == Ending::Length(0)
            && from_here
    }
}

/// Sixteen bytes in base64: 22 signs, and two that say that these are all.
fn is_key(key: &str) -> bool {
    let signs = key.strip_suffix("==").unwrap_or_default();
    signs.len() == 22 && signs.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"+/".contains(&sign))
}

fn is_page_of(origin: &str, host: &str) -> bool {
    let same = |scheme: &str, port: &str| {
        let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
        origin.strip_prefix(scheme).is_some_and(|own| bare(own) == bare(host))
    };
    same("http://", ":80") || same("https://", ":443")
}
