//! What an upstream is called in requests.

/// What a request for the upstream of this name has as Host, and the port: nginx's `$proxy_host`,
/// which leaves out the scheme's own port, and `$proxy_port`.
pub fn authority(name: &str) -> (&str, &str) {
    let (address, own) = match name.strip_prefix("https://") {
        Some(address) => (address, "443"),
        None => (name, "80"),
    };
    if address.starts_with("unix:") {
        return ("localhost", "");
    }
    match address.rsplit_once(':') {
        Some((host, port)) if port == own => (host, port),
        Some((_, port)) => (address, port),
        None => (address, own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_upstreams() {
        for (name, expected) in [
            ("chat", ("chat", "80")),
            ("a.test:80", ("a.test", "80")),
            ("a.test:443", ("a.test:443", "443")),
            ("https://a.test:443", ("a.test", "443")),
            ("https://[::1]:8443", ("[::1]:8443", "8443")),
            ("unix:/run/app.sock", ("localhost", "")),
            ("https://unix:/run/app.sock", ("localhost", "")),
        ] {
            assert_eq!(authority(name), expected, "{name}");
        }
    }
}
