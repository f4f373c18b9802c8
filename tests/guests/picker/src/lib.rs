//! Picks peers as a request says in `x-pick`: `none`, `trap`, `spin`, `hog`, `least` (loaded),
//! `zone=NAME` (the first with that tag), or ids with commas between them, one for each try.
//! Counts `updates_total{group="NAME"}` and has `known_peers{group="NAME"}`.

use tidegate_plugin::metrics::{Counter, Gauge};
use tidegate_plugin::{Balancer, ConfigError, Peer, Plugin, peers, request};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Trap in `update`, too.
    #[serde(default)]
    trap_in_update: bool,
}

struct Picker {
    config: Config,
    peers: Vec<(u32, Vec<Peer>)>,
}

impl Plugin for Picker {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { config, peers: Vec::new() })
    }
}

impl Balancer for Picker {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn update(&mut self, group: u32, name: String, peers: Vec<Peer>) {
        if self.config.trap_in_update {
            panic!("this guest traps in `update`");
        }
        let labels = [("group", name.as_str())];
        if let Ok(updates) = Counter::new("updates_total", "Calls of `update`.", &labels) {
            updates.add(1);
        }
        if let Ok(known) = Gauge::new("known_peers", "Peers of the last `update`.", &labels) {
            known.set(f64::from(u32::try_from(peers.len()).unwrap_or(u32::MAX)));
        }
        self.peers.retain(|(known, _)| *known != group);
        self.peers.push((group, peers));
    }

    #[expect(clippy::panic, reason = "what this guest is for")]
    fn pick(&mut self, group: u32) -> Option<u32> {
        let wanted = request::header_text("x-pick")?;
        let (_, list) = self.peers.iter().find(|(known, _)| *known == group)?;
        match wanted.as_str() {
            "none" => None,
            "trap" => panic!("this guest traps"),
            "spin" => loop {
                std::hint::black_box(());
            },
            "hog" => {
                let mut taken = Vec::new();
                loop {
                    taken.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&taken);
                }
            }
            "least" => {
                let loads = list.iter().filter_map(|peer| Some((peers::active(peer.id)?, peer.id)));
                loads.min().map(|(_, id)| id)
            }
            ids => match ids.strip_prefix("zone=") {
                Some(zone) => list.iter().find(|peer| peer.tag("zone") == Some(zone)).map(|peer| peer.id),
                None => ids.split(',').nth(peers::tried().len())?.parse().ok(),
            },
        }
    }
}

tidegate_plugin::export!(Picker: balancer);
