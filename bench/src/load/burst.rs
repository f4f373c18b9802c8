//! Requests that come together: 64 kept connections ask at the same moment, and again once all have
//! been answered and the proxy has slept. What counts is how long each waits.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::get::{self, PATH};
use super::{STALL, Span};
use crate::error::{BenchError, Result};
use crate::poll::{Poller, Ready, pause};
use crate::ws::RequestText;

/// Between the last answer and the next burst.
const SLEEP: Duration = Duration::from_millis(3);

/// Run the load; the time that this share of the requests was answered within.
pub(crate) fn run(to: SocketAddr, span: Span, share: f64) -> Result<Duration> {
    let request = RequestText::plain_get(PATH);
    let mut poller = Poller::new()?;
    let mut connections = get::open(to, &poller)?;
    let (mut buffer, mut ready) = (vec![0; 16 * 1024], Vec::<Ready>::new());
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < span.warm_up + span.window {
        let counts = begun.elapsed() >= span.warm_up;
        let mut asked = Vec::with_capacity(connections.len());
        for connection in &mut connections {
            asked.push(Instant::now());
            connection.ask(&request)?;
        }
        let mut waiting = connections.len();
        while waiting > 0 {
            poller.wait(&mut ready, Some(STALL))?;
            if ready.is_empty() {
                return Err(BenchError::Stalled(STALL.as_secs()));
            }
            for event in &ready {
                let Some((connection, asked)) = connections.get_mut(event.token).zip(asked.get(event.token)) else {
                    continue;
                };
                if connection.has_answer(&mut buffer)? {
                    waiting -= 1;
                    if counts {
                        times.push(asked.elapsed());
                    }
                }
            }
        }
        pause(SLEEP);
    }
    times.sort_unstable();
    let at = (share * times.len() as f64) as usize;
    times.get(at).copied().ok_or(BenchError::Answer("no burst within the window".into()))
}
