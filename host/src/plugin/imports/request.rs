//! `tidegate:plugin/request`: the current request, read through its [`View`].

use std::net::{IpAddr, SocketAddr};

use super::wit::request::Host;
use super::wit::types::{Endpoint, Field, IpAddress};
use crate::hook::View;
use crate::plugin::instance::Ctx;

impl Ctx {
    fn request(&self) -> wasmtime::Result<&View> {
        self.meter.allow_call()?;
        self.view.as_deref().ok_or_else(|| {
            wasmtime::Error::msg("there is no current request: `request` can be read in hooks, not in `configure`")
        })
    }
}

impl Ctx {
    /// `$sent_http_NAME` and `$upstream_http_NAME`, where the hook has a response: its headers,
    /// with the edits of plugins before this one.
    fn answer_variable(&self, name: &str, out: &mut Vec<u8>) -> wasmtime::Result<bool> {
        let Some(response) = &self.response else { return Ok(false) };
        let Some(name) = name.strip_prefix("sent_http_").or_else(|| name.strip_prefix("upstream_http_")) else {
            return Ok(false);
        };
        Ok(self.request()?.builtins.header(&response.headers, name, out))
    }
}

impl Host for Ctx {
    fn method(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.method.as_str().to_owned())
    }

    fn path_with_query(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.path_with_query.clone())
    }

    fn path(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.path.clone())
    }

    fn query(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.request()?.path_with_query.split_once('?').map(|(_, query)| query.to_owned()))
    }

    fn authority(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.authority.clone())
    }

    fn host(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.host.clone())
    }

    fn scheme(&mut self) -> wasmtime::Result<String> {
        Ok(self.request()?.scheme.to_owned())
    }

    fn is_websocket(&mut self) -> wasmtime::Result<bool> {
        Ok(self.request()?.is_websocket)
    }

    fn get(&mut self, name: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.request()?.headers.get(&name).map(<[u8]>::to_vec))
    }

    fn get_all(&mut self, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        Ok(self.request()?.headers.get_all(&name).map(<[u8]>::to_vec).collect())
    }

    fn has(&mut self, name: String) -> wasmtime::Result<bool> {
        Ok(self.request()?.headers.contains(&name))
    }

    fn entries(&mut self) -> wasmtime::Result<Vec<Field>> {
        Ok(super::fields(&self.request()?.headers))
    }

    fn client(&mut self) -> wasmtime::Result<Endpoint> {
        Ok(endpoint(self.request()?.client))
    }

    fn local(&mut self) -> wasmtime::Result<Endpoint> {
        Ok(endpoint(self.request()?.local))
    }

    fn variable(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let mut value = Vec::new();
        if !self.answer_variable(&name, &mut value)? && !self.request()?.variable(&name, &mut value) {
            return Ok(None);
        }
        // Header values need not be UTF-8, and a variable may be one.
        Ok(Some(String::from_utf8(value).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())))
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddress::Ipv4(ip.octets().into()),
        IpAddr::V6(ip) => IpAddress::Ipv6(ip.segments().into()),
    };
    Endpoint { address: ip, port: address.port() }
}
