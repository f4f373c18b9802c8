//! Plain HTTP is sent to https: the same host, path and query.

use serde::Deserialize;
use tidegate_plugin::{ConfigError, Reply};

use crate::respond::{RedirectConfig, redirect};
use crate::state::{Asked, State};

/// The scheme's own port.
const PORT: u16 = 443;

/// How a client without TLS is sent to https. nginx: `return 301 https://$host$request_uri`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsConfig {
    /// 301, 302, 307 or 308.
    #[serde(default = "moved")]
    pub status: u16,
    /// Where TLS is spoken.
    #[serde(default = "usual")]
    pub port: u16,
}

fn moved() -> u16 {
    301
}

fn usual() -> u16 {
    PORT
}

impl HttpsConfig {
    /// Whether it can be followed; `pointer` is where it stands.
    pub(crate) fn check(self, pointer: &str) -> Result<Self, ConfigError> {
        match self.status {
            301 | 302 | 307 | 308 => Ok(self),
            status => Err(ConfigError::new(format!("{pointer}/https/status"), format!("{status} sends nobody on"))),
        }
    }

    /// The redirect.
    pub(crate) fn reply(self, state: &State<'_>, asked: &dyn Asked) -> Reply {
        let host = state.variable("host").filter(|host| !host.is_empty());
        // HTTP/1.0 may come without any.
        let host = host.unwrap_or_else(|| match asked.local().ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let port = if self.port == PORT { String::new() } else { format!(":{}", self.port) };
        // As the client sent it, whatever rules have made of it.
        let target = asked.variable("request_uri").unwrap_or_default();
        redirect(self.status, format!("https://{host}{port}{target}"), state.site, asked, RedirectConfig::default())
    }
}
