//! How busy and how slow the peers of one upstream are, close together in memory: policies that
//! compare all of them read a few cache lines, not one or two for each peer.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// Seats of the first block; each later one has twice as many as the one before.
const FIRST: usize = 16;

/// The seats of an upstream's peers, those of its earlier sets among them.
#[derive(Debug, Default)]
pub(super) struct Board {
    seats: Mutex<Seats>,
    /// Exchanges and tunnels of all its peers, with those that have left and not ended.
    total: AtomicU32,
}

#[derive(Debug, Default)]
struct Seats {
    blocks: Vec<Arc<Block>>,
    /// Block and place, the first of which is taken first, so that a set's peers sit in a row.
    free: BTreeSet<(usize, usize)>,
}

/// Seats in a row.
#[derive(Debug)]
pub(super) struct Block {
    number: usize,
    active: Box<[AtomicU32]>,
    header: Box<[AtomicU32]>,
    whole: Box<[AtomicU32]>,
}

/// The columns of a block that policies read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    /// Milliseconds until the head, see [`Seat::rank`].
    Header,
    /// Milliseconds until the last byte.
    Whole,
}

/// One peer's place.
#[derive(Debug)]
pub(super) struct Seat {
    board: Arc<Board>,
    block: Arc<Block>,
    place: usize,
}

impl Block {
    fn new(number: usize) -> Self {
        let column = || (0..FIRST << number.min(16)).map(|_| AtomicU32::new(0)).collect();
        Self { number, active: column(), header: column(), whole: column() }
    }

    /// How many exchanges and tunnels each of these places serves.
    pub(super) fn active(&self, places: &Range<usize>) -> &[AtomicU32] {
        self.active.get(places.clone()).unwrap_or_default()
    }

    /// How slow each of these places is.
    pub(super) fn ranks(&self, column: Column, places: &Range<usize>) -> &[AtomicU32] {
        self.column(column).get(places.clone()).unwrap_or_default()
    }

    fn column(&self, column: Column) -> &[AtomicU32] {
        match column {
            Column::Header => &self.header,
            Column::Whole => &self.whole,
        }
    }
}

impl Board {
    /// Exchanges and tunnels of all its peers, with those that have left and not ended.
    pub(super) fn total(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// A seat, empty.
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        let mut seats = self.seats.lock();
        let (number, place) = match seats.free.pop_first() {
            Some(found) => found,
            None => {
                let number = seats.blocks.len();
                let block = Arc::new(Block::new(number));
                seats.free.extend((1..block.active.len()).map(|place| (number, place)));
                seats.blocks.push(block);
                (number, 0)
            }
        };
        let block = seats.blocks.get(number).map_or_else(|| Arc::new(Block::new(0)), Arc::clone);
        Seat { board: Arc::clone(self), block, place }
    }
}

impl Seat {
    /// Exchanges and tunnels of the whole board.
    pub(super) fn total(&self) -> &AtomicU32 {
        &self.board.total
    }

    /// Exchanges and tunnels that are served.
    pub(super) fn active(&self) -> &AtomicU32 {
        at(&self.block.active, self.place)
    }

    /// How slow the peer counts as, milliseconds; 0 where nobody knows.
    pub(super) fn rank(&self, column: Column) -> &AtomicU32 {
        at(self.block.column(column), self.place)
    }

    /// Its block and its place there.
    pub(super) fn place(&self) -> (&Arc<Block>, usize) {
        (&self.block, self.place)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for cell in [self.active(), self.rank(Column::Header), self.rank(Column::Whole)] {
            cell.store(0, Ordering::Relaxed);
        }
        self.board.seats.lock().free.insert((self.block.number, self.place));
    }
}

fn at(cells: &[AtomicU32], place: usize) -> &AtomicU32 {
    // A seat is within its block; counting nowhere would be better than to end the process.
    static NOWHERE: AtomicU32 = AtomicU32::new(0);
    cells.get(place).unwrap_or(&NOWHERE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_in_a_row_and_taken_again() {
        let board = Arc::new(Board::default());
        let mut seats: Vec<Seat> = (0..40).map(|_| board.take()).collect();
        let places: Vec<(usize, usize)> = seats.iter().map(|seat| (seat.block.number, seat.place)).collect();
        let wanted: Vec<_> = (0..16).map(|place| (0, place)).chain((0..24).map(|place| (1, place))).collect();
        assert_eq!(places, wanted);
        seats[3].active().store(5, Ordering::Relaxed);
        drop(seats.remove(3));
        let again = board.take();
        assert_eq!((again.block.number, again.place, again.active().load(Ordering::Relaxed)), (0, 3, 0));
    }
}
