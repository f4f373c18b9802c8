//! What a line will say of the request, copied out of it in time: a tunnel may live for
//! days, and must not keep the buffer that its head was read into.

use std::cell::RefCell;

/// Values of variables by number, in one piece of memory: a table of places, then the
/// values. Memory comes from, and goes back to, a store of the worker.
#[derive(Debug)]
pub(super) struct Facts {
    data: Vec<u8>,
}

/// Bytes of one entry of the table: where a value begins and ends.
const ENTRY: usize = 8;
/// Facts that a worker keeps memory for.
const MOST_SPARE: usize = 64;
/// Bytes above which memory is not kept.
const LARGEST_SPARE: usize = 8 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Facts {
    /// No value yet, of so many variables.
    pub(super) fn new(slots: usize) -> Self {
        let mut data = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default();
        data.clear();
        // An end of 0 is before every value: there is none.
        data.resize(slots * ENTRY, 0);
        Self { data }
    }

    /// Give a variable the value that `write` appends; none, and what it had before, where
    /// that says false.
    pub(super) fn set(&mut self, slot: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.data.len();
        if !write(&mut self.data) {
            self.data.truncate(start);
            return;
        }
        if let Some((from, to)) = self.place(slot).filter(|(from, to)| to - from == self.data.len() - start) {
            // What changes again and again, as a time does, takes no more room.
            self.data.copy_within(start.., from);
            debug_assert!(to <= start);
            self.data.truncate(start);
            return;
        }
        // Past 4 GiB of a request's head there would be none.
        let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(self.data.len())) else { return };
        if let Some(entry) = self.data.get_mut(slot * ENTRY..(slot + 1) * ENTRY) {
            let place = u64::from(from) << 32 | u64::from(to);
            entry.copy_from_slice(&place.to_le_bytes());
        }
    }

    /// A variable's value.
    pub(super) fn get(&self, slot: usize) -> Option<&[u8]> {
        self.place(slot).and_then(|(from, to)| self.data.get(from..to))
    }

    /// Where a value begins and ends.
    fn place(&self, slot: usize) -> Option<(usize, usize)> {
        let entry = self.data.get(slot * ENTRY..(slot + 1) * ENTRY)?;
        let place = u64::from_le_bytes(entry.try_into().ok()?);
        let (from, to) = (usize::try_from(place >> 32).ok()?, usize::try_from(place & u64::from(u32::MAX)).ok()?);
        (to != 0).then_some((from, to))
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        if data.capacity() <= LARGEST_SPARE {
            // While the thread ends there is no store any more.
            let _gone = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < MOST_SPARE {
                    spare.push(data);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_apart() {
        for _ in 0..3 {
            let mut facts = Facts::new(3);
            let put = |text: &'static [u8]| {
                move |out: &mut Vec<u8>| {
                    out.extend_from_slice(text);
                    !text.starts_with(b"no")
                }
            };
            facts.set(2, put(b"two"));
            facts.set(0, put(b""));
            facts.set(1, put(b"not"));
            assert_eq!(
                (facts.get(0), facts.get(1), facts.get(2), facts.get(3)),
                (Some(&b""[..]), None, Some(&b"two"[..]), None)
            );
            let had = facts.data.len();
            facts.set(2, put(b"owt"));
            assert_eq!((facts.get(2), facts.data.len()), (Some(&b"owt"[..]), had));
            facts.set(2, put(b"again"));
            facts.set(9, put(b"nowhere"));
            assert_eq!((facts.get(0), facts.get(2)), (Some(&b""[..]), Some(&b"again"[..])));
        }
    }
}
