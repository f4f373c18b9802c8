//! The leaky bucket, in nginx's arithmetic (`ngx_http_limit_req_lookup`): time in whole
//! milliseconds, requests in thousandths, every division rounded down.

/// One request, in thousandths.
pub(super) const ONE: u64 = 1000;

/// What is in the bucket of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Thousandths of requests beyond the rate.
    pub(super) excess: u64,
    /// When it was last drained, in ms since [`super::now`]'s start.
    pub(super) last: u64,
}

impl Bucket {
    /// The bucket of a key that has just been seen for the first time: its first request is
    /// never beyond the rate.
    pub(super) fn new(now: u64) -> Self {
        Self { excess: 0, last: now }
    }

    /// The excess that one more request would make, at a rate in thousandths a second.
    pub(super) fn excess(&self, rate: u64, now: u64) -> u64 {
        // A worker that read its clock before another one changed the bucket sees time go back.
        let drained = rate.saturating_mul(now.saturating_sub(self.last)) / 1000;
        (self.excess + ONE).saturating_sub(drained)
    }

    /// Put a request into it that made this excess.
    pub(super) fn take(&mut self, excess: u64, now: u64) {
        self.excess = excess;
        // Within one millisecond nothing drains, and a time that goes back is not kept.
        self.last = self.last.max(now);
    }
}

/// How long a request of this excess has to wait, ms, where `delay` thousandths go at once.
pub(super) fn wait(excess: u64, delay: u64, rate: u64) -> u64 {
    match excess.checked_sub(delay) {
        Some(beyond) if rate > 0 => beyond.saturating_mul(1000) / rate,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The excess of each request of a sequence, at these times; none where refused.
    fn run(rate: u64, burst: u64, times: &[u64]) -> Vec<Option<u64>> {
        let mut bucket: Option<Bucket> = None;
        let request = |now: &u64| match &mut bucket {
            None => {
                bucket = Some(Bucket::new(*now));
                Some(0)
            }
            Some(bucket) => {
                let excess = bucket.excess(rate, *now);
                let passes = excess <= burst;
                if passes {
                    bucket.take(excess, *now);
                }
                passes.then_some(excess)
            }
        };
        times.iter().map(request).collect()
    }

    #[test]
    fn a_rate_without_burst_lets_one_pass_at_a_time() {
        // 10 a second: one in 100 ms, and not one in 99.
        assert_eq!(run(10_000, 0, &[0, 0, 99, 100, 150, 200]), [Some(0), None, None, Some(0), None, Some(0)]);
    }

    #[test]
    fn excess_is_in_thousandths() {
        assert_eq!(run(1000, 2000, &[0, 0, 250, 250, 1250]), [Some(0), Some(1000), Some(1750), None, Some(1750)]);
        // 1 a minute is 16 thousandths a second, as nginx rounds 1000/60.
        assert_eq!(run(16, 0, &[0, 60_000, 62_500]), [Some(0), None, Some(0)]);
    }

    #[test]
    fn a_refused_request_takes_nothing() {
        let mut times = vec![0; 5];
        times.push(1000);
        assert_eq!(run(1000, 1000, &times), [Some(0), Some(1000), None, None, None, Some(1000)]);
    }

    #[test]
    fn time_that_goes_back_drains_nothing() {
        assert_eq!(run(1000, 3000, &[500, 400, 500, 1500]), [Some(0), Some(1000), Some(2000), Some(2000)]);
    }

    #[test]
    fn waiting_is_for_what_is_beyond_delay() {
        assert_eq!(wait(1000, 0, 10_000), 100);
        assert_eq!(wait(2500, 2000, 1000), 500);
        assert_eq!(wait(2000, 2000, 1000), 0);
        assert_eq!(wait(5000, u64::MAX, 1000), 0);
    }
}
