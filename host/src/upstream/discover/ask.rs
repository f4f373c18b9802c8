//! One question to the name servers, with all that it takes: `/etc/hosts`, the search list, A and
//! AAAA, and the hosts of a service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::task::JoinSet;

use super::Found;
use crate::config::{Question, Resolver};

/// How long an answer of `/etc/hosts` is used, which has no time of its own.
const HOSTS_TTL: Duration = Duration::from_secs(60);
/// How many hosts of a service are looked up at once.
const AT_ONCE: usize = 16;

/// What came of a question.
pub(super) struct Answer {
    /// At least one, in order, without doubles.
    pub(super) found: Vec<Found>,
    /// How long it may be used, by its own word.
    pub(super) ttl: Duration,
    /// What could not be asked; what was known of it stands in `found`.
    pub(super) missing: Option<Failure>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name servers say that there is nothing.
    Nothing(&'static str),
    /// They say nothing of use.
    Failed(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing(what) => f.write_str(what),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

const NO_NAME: Failure = Failure::Nothing("there is no such name (NXDOMAIN)");
const NO_ADDRESS: Failure = Failure::Nothing("the name has no address");
const NO_SERVICE: Failure = Failure::Nothing("the name has no SRV record");

/// Ask. `before` is what was known, and stands in for parts that cannot be asked.
pub(super) async fn ask(question: &Question, settings: &Resolver, before: &[Found]) -> Result<Answer, Failure> {
    let asking = async {
        // Made anew each time, so that changed files of the system count, and nothing outlives
        // the runtime that it began on.
        let dns = Arc::new(Dns::new(settings)?);
        match question {
            Question::Host(name) => dns.host(name, before).await.and_then(|host| host.answer(0)),
            Question::Service(name) => service(&dns, name, before).await,
        }
    };
    match tokio::time::timeout(settings.timeout, asking).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Failure::Failed("no answer in time".to_owned())),
    }
}

/// What asks, and by which rules.
struct Dns {
    resolver: TokioResolver,
    hosts: Hosts,
    /// Put behind names that are not full.
    search: Vec<Name>,
    /// A name with as many dots is tried as it is first.
    dots: usize,
    ipv6: Option<bool>,
}

/// What is known of one host.
#[derive(Debug, Default)]
struct Host {
    name: Arc<str>,
    addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
    missing: Option<Failure>,
}

impl Host {
    fn answer(self, port: u16) -> Result<Answer, Failure> {
        let made = |ip| Found { host: Arc::clone(&self.name), ip, port, priority: 0, weight: 1 };
        let found: Vec<Found> = self.addresses.iter().copied().map(made).collect();
        match self.missing {
            Some(failure) if found.is_empty() => Err(failure),
            _ if found.is_empty() => Err(NO_ADDRESS),
            missing => Ok(Answer { found, ttl: self.ttl.unwrap_or_default(), missing }),
        }
    }
}

impl Dns {
    fn new(settings: &Resolver) -> Result<Self, Failure> {
        let (config, mut options) =
            if settings.addresses.is_empty() { of_the_system() } else { own(&settings.addresses) };
        let dots = options.ndots;
        // Both are done here: hickory asks for AAAA where the file has an IPv4 address only.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 64;
        // As the C library has it: the domain counts where there is no search list.
        let (domain, search, servers) = config.into_parts();
        let search = if search.is_empty() { domain.into_iter().collect() } else { search };
        let config = ResolverConfig::from_name_servers(servers);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options);
        let resolver = builder.build().map_err(|error| failure(&error, &NO_ADDRESS))?;
        let hosts = Hosts::from_system().unwrap_or_default();
        Ok(Self { resolver, hosts, search, dots, ipv6: settings.ipv6 })
    }

    /// The addresses of a host; those of `before` where they cannot be asked.
    async fn host(&self, name: &str, before: &[Found]) -> Result<Host, Failure> {
        let parsed = Name::from_ascii(name).map_err(|error| Failure::Failed(error.to_string()))?;
        let mut host = Host { name: name.into(), ..Host::default() };
        for candidate in self.candidates(parsed) {
            let mut failed = None;
            let (v4, v6) = match self.in_hosts(&candidate) {
                Some(found) => found,
                None => tokio::join!(self.addresses(&candidate, true), self.addresses(&candidate, false)),
            };
            for (result, is_ipv4) in [(v4, true), (v6, false)] {
                match result {
                    Ok((addresses, ttl)) => {
                        host.addresses.extend(addresses);
                        host.ttl = Some(host.ttl.map_or(ttl, |other| other.min(ttl)));
                    }
                    Err(failure @ Failure::Failed(_)) => {
                        let known = before.iter().filter(|f| *f.host == *name && f.ip.is_ipv4() == is_ipv4);
                        host.addresses.extend(known.map(|found| found.ip));
                        failed = Some(failure);
                    }
                    Err(nothing) => drop(host.missing.get_or_insert(nothing)),
                }
            }
            if !host.addresses.is_empty() {
                // Nothing of one family is no fault where the other has something.
                host.missing = failed;
                break;
            }
            host.missing = failed.or(host.missing);
        }
        host.addresses.retain(|ip| !ip.is_unspecified() && !ip.is_multicast());
        if self.ipv6.is_none() && host.addresses.iter().any(IpAddr::is_ipv4) && !reaches_ipv6() {
            host.addresses.retain(IpAddr::is_ipv4);
        }
        // In an order of their own, since servers turn theirs.
        host.addresses.sort_unstable();
        host.addresses.dedup();
        Ok(host)
    }

    /// What `/etc/hosts` says of a name, which then is all that there is.
    fn in_hosts(&self, name: &Name) -> Option<(Addresses, Addresses)> {
        let of = |kind| {
            let lookup = self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
            lookup.map(|lookup| (addresses_of(&lookup), HOSTS_TTL))
        };
        let v6 = if self.ipv6 == Some(false) { None } else { of(RecordType::AAAA) };
        match (of(RecordType::A), v6) {
            (None, None) => None,
            (v4, v6) => Some((v4.ok_or(NO_ADDRESS), v6.ok_or(NO_ADDRESS))),
        }
    }

    async fn addresses(&self, name: &Name, is_ipv4: bool) -> Addresses {
        if !is_ipv4 && self.ipv6 == Some(false) {
            return Err(NO_ADDRESS);
        }
        let kind = if is_ipv4 { RecordType::A } else { RecordType::AAAA };
        let lookup = self.resolver.lookup(name.clone(), kind).await.map_err(|error| failure(&error, &NO_ADDRESS))?;
        Ok((addresses_of(&lookup), ttl_of(&lookup)))
    }

    /// The SRV records of a name, in the order of their priority, and how long they hold.
    async fn records(&self, name: &str) -> Result<(Vec<SRV>, Duration), Failure> {
        let parsed = Name::from_ascii(name).map_err(|error| Failure::Failed(error.to_string()))?;
        let mut worst = NO_SERVICE;
        for candidate in self.candidates(parsed) {
            match self.resolver.lookup(candidate, RecordType::SRV).await {
                Ok(lookup) => {
                    let mut records: Vec<SRV> = lookup.answers().iter().filter_map(|r| srv(&r.data)).collect();
                    // RFC 2782: the root as the target says that there is decidedly no service.
                    records.retain(|record| !record.target.is_root() && record.port != 0);
                    records.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
                    if records.is_empty() {
                        return Err(NO_SERVICE);
                    }
                    return Ok((records, ttl_of(&lookup)));
                }
                Err(error) => {
                    let failed = failure(&error, &NO_SERVICE);
                    if !matches!(worst, Failure::Failed(_)) {
                        worst = failed;
                    }
                }
            }
        }
        Err(worst)
    }

    /// The full names that a name may mean, in order; the C library's way.
    fn candidates(&self, mut name: Name) -> Vec<Name> {
        if name.is_fqdn() {
            return vec![name];
        }
        let is_first = usize::from(name.num_labels()) > self.dots || name.is_localhost();
        let searched = self.search.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut candidates: Vec<Name> = searched.collect();
        name.set_fqdn(true);
        candidates.insert(if is_first { 0 } else { candidates.len() }, name);
        candidates
    }
}

/// The hosts of a service, and their addresses.
async fn service(dns: &Arc<Dns>, name: &str, before: &[Found]) -> Result<Answer, Failure> {
    let (records, mut ttl) = dns.records(name).await?;
    let mut targets: Vec<Arc<str>> = records.iter().map(target).collect();
    targets.sort_unstable();
    targets.dedup();
    let before: Arc<[Found]> = before.into();
    let (mut asking, mut hosts, mut missing) = (JoinSet::new(), Vec::new(), None);
    let mut targets = targets.into_iter();
    loop {
        while asking.len() < AT_ONCE
            && let Some(target) = targets.next()
        {
            let (dns, before) = (Arc::clone(dns), Arc::clone(&before));
            asking.spawn(async move { dns.host(&target, &before).await });
        }
        let Some(asked) = asking.join_next().await else { break };
        match asked {
            Ok(Ok(host)) => hosts.push(host),
            Ok(Err(failed)) => missing = Some(failed),
            Err(gone) => missing = Some(Failure::Failed(gone.to_string())),
        }
    }
    let mut found = Vec::new();
    for record in &records {
        let target = target(record);
        let Some(host) = hosts.iter().find(|host| host.name == target) else { continue };
        found.extend(host.addresses.iter().map(|ip| Found {
            host: Arc::clone(&host.name),
            ip: *ip,
            port: record.port,
            priority: record.priority,
            // RFC 2782: 0 is for where nothing is chosen by weight, and so is 1.
            weight: record.weight.max(1),
        }));
    }
    for host in hosts {
        ttl = host.ttl.map_or(ttl, |other| other.min(ttl));
        missing = missing.or(host.missing);
    }
    match missing {
        Some(failed) if found.is_empty() => Err(failed),
        _ if found.is_empty() => Err(NO_ADDRESS),
        missing => Ok(Answer { found, ttl, missing: missing.filter(|f| matches!(f, Failure::Failed(_))) }),
    }
}

/// Addresses of one family, and how long they hold.
type Addresses = Result<(Vec<IpAddr>, Duration), Failure>;

fn addresses_of(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// The least of all records, those of aliases on the way too.
fn ttl_of(lookup: &Lookup) -> Duration {
    let least = lookup.answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(least.unwrap_or_default().into())
}

fn srv(data: &RData) -> Option<SRV> {
    match data {
        RData::SRV(record) => Some(record.clone()),
        _ => None,
    }
}

fn target(record: &SRV) -> Arc<str> {
    record.target.to_ascii().to_ascii_lowercase().into()
}

fn failure(error: &NetError, nothing: &Failure) -> Failure {
    if error.is_nx_domain() {
        return NO_NAME;
    }
    match error {
        error if error.is_no_records_found() => nothing.clone(),
        NetError::Dns(DnsError::ResponseCode(code)) => Failure::Failed(match code {
            ResponseCode::ServFail => "the name server failed (SERVFAIL)".to_owned(),
            ResponseCode::Refused => "the name server refused to answer (REFUSED)".to_owned(),
            code => format!("the name server answered with {code}"),
        }),
        NetError::Timeout | NetError::NoConnections => Failure::Failed("the name servers do not answer".to_owned()),
        error => Failure::Failed(error.to_string()),
    }
}

fn of_the_system() -> (ResolverConfig, ResolverOpts) {
    // As the C library does where the file is missing or names nobody.
    read_system_conf().unwrap_or_else(|_| own(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]))
}

fn own(addresses: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let server = |address: &SocketAddr| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = address.port();
        }
        NameServerConfig::new(address.ip(), true, connections)
    };
    (ResolverConfig::from_name_servers(addresses.iter().map(server).collect()), ResolverOpts::default())
}

/// Whether there is a route to IPv6 addresses: asks the kernel, and sends nothing.
fn reaches_ipv6() -> bool {
    // RFC 3849: one that nobody has.
    let anyone = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 53));
    UdpSocket::bind("[::]:0").is_ok_and(|socket| socket.connect(anyone).is_ok())
}
