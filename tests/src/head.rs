//! A request's or response's head, byte for byte and parsed.

/// The head of an HTTP/1 message as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Every byte, with the empty line.
    pub raw: Vec<u8>,
    /// The first line, without its end.
    pub start: String,
    /// The header lines in order: name as sent, value without the blanks around it.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Parse a head; `raw` ends with the empty line.
    #[track_caller]
    pub fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        let text = text.strip_suffix("\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", raw.escape_ascii()));
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header line: {line:?}"));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        Self { raw: raw.to_vec(), start, headers }
    }

    /// The value of a header that is there once; none where it is absent.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name).into_iter();
        let first = values.next();
        assert!(values.next().is_none(), "{name} is there more than once: {}", self.raw.escape_ascii());
        first
    }

    /// Every value of a header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// Whether a comma-separated header lists a token, without regard to case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().flat_map(|v| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The status code of a response.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let code =
            self.start.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no status line: {:?}", self.start))
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request, as sent.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The header lines as `Name: value`, without those named (in any case).
    pub fn lines_without(&self, names: &[&str]) -> Vec<String> {
        let left_out = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        self.headers.iter().filter(|(n, _)| !left_out(n)).map(|(n, v)| format!("{n}: {v}")).collect()
    }
}
