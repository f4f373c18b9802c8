//! Peers that are found by their names: looked up when a configuration is taken into use, and
//! again and again for as long as it is.
//!
//! What is known of a name is shared by all upstreams that have it and survives reloads
//! (`names`); one task for each name of an upstream (`task`) asks when it is time (`ask`), and
//! puts what has changed into the upstream's set.

mod ask;
mod names;
mod problems;
mod source;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;

pub use names::Names;
pub use problems::problems;
pub use source::SourceStatus;

use super::{Peer, Shared, Upstream};
use crate::config::{self, Address, Lookup, Resolve, Source};
use names::{Addresses, Entry};

/// One address that a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// The host; of a service, its target.
    host: Arc<str>,
    ip: IpAddr,
    /// 0 where only the configuration knows it.
    port: u16,
    /// Of a service: the lowest number is for all, the others are backups.
    priority: u16,
    /// Of a service, at least 1; else 1.
    weight: u16,
}

/// How an upstream with names comes to its peers.
#[derive(Debug)]
pub(super) struct Discovery {
    members: Vec<Member>,
    shared: Shared,
    /// The answers that the set in use was made of, in the order of the members. Held while the
    /// set is replaced, so that an older one never follows a newer one.
    applied: Mutex<Vec<Option<Addresses>>>,
}

/// One entry of an upstream's list of peers.
#[derive(Debug)]
struct Member {
    config: config::Peer,
    /// None where its address is written.
    name: Option<(Arc<Lookup>, Arc<Entry>)>,
}

impl Discovery {
    /// None where no peer has a name.
    pub(super) fn new(config: &config::Upstream, shared: &Shared) -> Option<Self> {
        let member = |peer: &config::Peer| {
            let name = match &peer.source {
                Source::Fixed(_) => None,
                Source::Name(lookup) => Some((Arc::clone(lookup), entry(lookup, shared))),
            };
            Member { config: peer.clone(), name }
        };
        let members: Vec<_> = config.peers.iter().map(member).collect();
        let has_names = members.iter().any(|member| member.name.is_some());
        has_names.then(|| Self { members, shared: shared.clone(), applied: Mutex::default() })
    }

    /// The peers by what is known now, where that is other than what is in use.
    fn changed(&self, upstream: &Arc<str>, applied: &mut Vec<Option<Addresses>>) -> Option<Vec<Arc<Peer>>> {
        let known = |member: &Member| member.name.as_ref().and_then(|(_, entry)| entry.addresses());
        let now: Vec<Option<Addresses>> = self.members.iter().map(known).collect();
        let same = |(a, b): (&Option<Addresses>, &Option<Addresses>)| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        if applied.len() == now.len() && applied.iter().zip(&now).all(same) {
            return None;
        }
        let mut peers = Vec::new();
        for (member, addresses) in self.members.iter().zip(&now) {
            let made =
                |config: &config::Peer, address: &Address| Arc::new(Peer::new(config, address, upstream, &self.shared));
            match (&member.config.source, &member.name) {
                (Source::Fixed(address), _) => peers.push(made(&member.config, address)),
                (Source::Name(lookup), _) => {
                    let found = addresses.as_deref().unwrap_or_default();
                    peers
                        .extend(expand(&member.config, lookup, found).map(|(config, address)| made(&config, &address)));
                }
            }
        }
        *applied = now;
        Some(peers)
    }
}

impl Upstream {
    /// Its first peers, where it has names: those of which something is known already.
    pub(super) fn discovered(discovery: &Discovery, name: &Arc<str>) -> Vec<Arc<Peer>> {
        discovery.changed(name, &mut discovery.applied.lock()).unwrap_or_default()
    }

    /// Take what is known of its names by now into use.
    pub fn follow(&self) {
        let Some(discovery) = &self.discovery else { return };
        let mut applied = discovery.applied.lock();
        if let Some(peers) = discovery.changed(&self.name, &mut applied) {
            let names: Vec<&str> = peers.iter().map(|peer| &*peer.name).collect();
            tracing::info!(upstream = %self.name, peers = ?names, "the peers have changed");
            self.replace(&peers);
        }
    }

    /// What goes on for its names, one task for each; nothing where it has none.
    pub fn follow_names(self: &Arc<Self>) -> Vec<impl Future<Output = ()> + Send + use<>> {
        let members = self.discovery.iter().flat_map(|discovery| &discovery.members);
        let followed = members.filter_map(|member| member.name.as_ref()).filter(|(l, _)| l.resolve != Resolve::Once);
        followed.map(|(_, entry)| keep_current(Arc::clone(self), Arc::clone(entry))).collect()
    }
}

/// Ask for a name whenever it is time, and take the answers into use.
async fn keep_current(upstream: Arc<Upstream>, entry: Arc<Entry>) {
    loop {
        // Another upstream's task may have asked for the same name.
        upstream.follow();
        tokio::time::sleep_until(entry.next().into()).await;
        entry.ask().await;
    }
}

/// What is known of a name.
fn entry(lookup: &Lookup, shared: &Shared) -> Arc<Entry> {
    shared.names.of(&lookup.question, lookup.resolve, &shared.resolver)
}

/// One peer for each address: as the configuration has the name, and by what the answer says.
fn expand<'a>(
    template: &'a config::Peer,
    lookup: &'a Lookup,
    found: &'a [Found],
) -> impl Iterator<Item = (config::Peer, Address)> + 'a {
    let first = found.iter().map(|found| found.priority).min().unwrap_or_default();
    let is_service = lookup.port.is_none();
    // nginx: the second priority and those after it are for a peer that is no backup itself.
    let used = move |found: &&Found| found.priority == first || !template.backup;
    found.iter().filter(used).map(move |found| {
        let address = SocketAddr::new(found.ip, lookup.port.unwrap_or(found.port));
        let mut config = template.clone();
        config.name = address.to_string().into();
        // nginx: a weight in the configuration goes before that of the answer.
        if is_service && template.weight == 1 {
            config.weight = found.weight.into();
        }
        config.backup |= found.priority != first;
        (config, Address::Tcp(address))
    })
}
