//! What comes of what one side sends: it goes on as it is, plugins are asked about it, or the
//! tunnel ends.

use std::task::{Context, Poll};

use super::chain::{Arrived, Asked, Came, Outcome, Sent};
use super::close;
use super::deflate::Codec;
use super::frame::{Head, Opcode};
use super::inlet::Event;
use super::outlet::{give_back, lend};
use super::{MOST_WAITING, Relay, Violation};
use crate::hook::{Content, Way};
use crate::tunnel::End;
use crate::tunnel::flow::State;

/// Why no more is looked at for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// All was looked at.
    Through,
    /// A plugin has to answer, or something has to be written.
    Waits,
    /// The tunnel is being closed.
    Closing,
}

impl Relay {
    /// Look at what was left.
    pub(super) fn look_at_left(&mut self, cx: &mut Context<'_>, way: Way) {
        let lane = self.lane(way);
        let looked = lane.looked;
        let mut left = std::mem::take(&mut lane.left);
        let used = self.look(cx, way, left.get_mut(looked..).unwrap_or_default());
        let lane = self.lane(way);
        lane.looked = looked + used;
        if lane.looked < left.len() {
            lane.left = left;
        } else {
            lane.looked = 0;
        }
    }

    /// Look at bytes of one side, and pass on what goes on as it is; how many were used.
    pub(super) fn look(&mut self, cx: &mut Context<'_>, way: Way, bytes: &mut [u8]) -> usize {
        // What goes on as it is and was not given to the outlet yet.
        let (mut from, mut at) = (0, 0);
        loop {
            if self.chain.has_changed {
                self.subscribe();
            }
            if self.lane(way).outlet.size() > MOST_WAITING || at >= bytes.len() {
                break;
            }
            let (used, event) = self.lane(way).inlet.next(bytes.get_mut(at..).unwrap_or_default());
            let start = at;
            at += used;
            let part = bytes.get_mut(start..at).unwrap_or_default();
            let pause = match event {
                Event::Forward(before) if before.is_empty() => {
                    if !self.lane(way).inlet.is_within_message() {
                        // Behind its last byte there is room for what had to wait.
                        self.pass(cx, way, bytes, &mut from, at);
                        self.lane(way).outlet.messages += 1;
                        self.lane(way).outlet.message_ended();
                    }
                    Pause::Through
                }
                Event::Whole(head, payload) if self.is_passed(way, &head, part, payload) => Pause::Through,
                event => {
                    self.pass(cx, way, bytes, &mut from, start);
                    from = at;
                    let part = bytes.get_mut(start..at).unwrap_or_default();
                    self.handle(cx, way, event, part)
                }
            };
            if pause != Pause::Through || self.has_stopped(way) {
                break;
            }
        }
        self.pass(cx, way, bytes, &mut from, at);
        at
    }

    /// Give the outlet what goes on as it is, up to here.
    fn pass(&mut self, cx: &mut Context<'_>, way: Way, bytes: &[u8], from: &mut usize, to: usize) {
        let (lane, socket) = match way {
            Way::Up => (&mut self.up, &mut self.upstream),
            Way::Down => (&mut self.down, &mut self.client),
        };
        let part = bytes.get(*from..to).unwrap_or_default();
        *from = to;
        if lane.outlet.pass(cx, socket, part).is_err() {
            lane.state = State::SinkFailed;
        }
    }

    /// Take over what plugins want to see now.
    fn subscribe(&mut self) {
        self.chain.has_changed = false;
        for way in [Way::Up, Way::Down] {
            let needs_all = self.lane(way).codec.as_ref().is_some_and(Codec::needs_all);
            self.lane(way).inlet.wanted = self.chain.wanted(way, needs_all);
        }
    }

    /// The fast path: whether a message that is one frame, and all here, goes on as it is. Where
    /// it does not, it is as it was, and asked about again by [`Relay::whole`] if nobody was asked
    /// yet.
    fn is_passed(&mut self, way: Way, head: &Head, frame: &mut [u8], start: usize) -> bool {
        let Opcode::Data(content) = head.opcode else { return false };
        let Some(payload) = frame.get_mut(start..).filter(|_| !head.compressed) else { return false };
        if let Some(mask) = head.mask {
            mask.apply(payload);
        }
        let is_good = content == Content::Binary || std::str::from_utf8(payload).is_ok();
        let arrived = Arrived { way, content, data: payload, length: Some(payload.len() as u64), packed: None };
        let passes = is_good && self.chain.ask(&arrived) == Asked::Pass;
        if let Some(mask) = head.mask {
            mask.apply(payload);
        }
        if passes {
            self.lane(way).outlet.messages += 1;
        }
        passes
    }

    /// Do what an event asks for.
    fn handle(&mut self, cx: &mut Context<'_>, way: Way, event: Event, part: &mut [u8]) -> Pause {
        match event {
            Event::Nothing | Event::Skipped => Pause::Through,
            Event::Forward(before) => {
                let lane = self.lane(way);
                let out = lane.outlet.buffer();
                out.extend_from_slice(&before);
                out.extend_from_slice(part);
                if !lane.inlet.is_within_message() {
                    lane.outlet.messages += 1;
                    lane.outlet.message_ended();
                }
                Pause::Through
            }
            Event::Control(head, start, None) => self.control(way, &head, part, start),
            Event::Control(head, start, Some(mut frame)) => self.control(way, &head, &mut frame, start),
            Event::Whole(head, start) => self.whole(cx, way, &head, part.get_mut(start..).unwrap_or_default()),
            Event::Collected => self.collected(cx, way),
            Event::Enough => self.enough(cx, way),
            Event::Bad(violation) => self.violated(way, violation),
        }
    }

    /// A control frame, whole: it goes on. A close frame is looked at, and nothing follows it.
    fn control(&mut self, way: Way, head: &Head, frame: &mut [u8], start: usize) -> Pause {
        if head.opcode == Opcode::Close {
            let payload = frame.get_mut(start..).unwrap_or_default();
            if let Some(mask) = head.mask {
                mask.apply(payload);
            }
            let code = close::read(payload);
            if let Some(mask) = head.mask {
                mask.apply(payload);
            }
            match code {
                Ok(code) => self.close_code = self.close_code.or(code),
                Err(violation) => return self.violated(way, violation),
            }
        }
        if head.opcode == Opcode::Close && self.parting.is_some() {
            // Its answer to the proxy's; what the client is told is another.
            self.lane(way).inlet.is_over = true;
            return Pause::Through;
        }
        let lane = self.lane(way);
        if !lane.outlet.is_closed {
            lane.outlet.buffer().extend_from_slice(frame);
        }
        if head.opcode == Opcode::Close {
            lane.outlet.is_closed = true;
            lane.inlet.is_over = true;
        }
        Pause::Through
    }

    /// A message in one frame that does not go on as it is, or is compressed.
    fn whole(&mut self, cx: &mut Context<'_>, way: Way, head: &Head, payload: &mut [u8]) -> Pause {
        let Opcode::Data(content) = head.opcode else { return Pause::Through };
        if !head.compressed {
            // It was asked about on the fast path.
            if self.chain.is_busy() {
                return self.work(cx);
            }
            return self.violated(way, Violation::Text);
        }
        if let Some(mask) = head.mask {
            mask.apply(payload);
        }
        self.packed(cx, way, content, payload)
    }

    /// A message that came in parts is whole.
    fn collected(&mut self, cx: &mut Context<'_>, way: Way) -> Pause {
        let Some(collected) = self.lane(way).inlet.take() else { return Pause::Through };
        if collected.compressed {
            return self.packed(cx, way, collected.content, &collected.data);
        }
        let data = &collected.data;
        let arrived = Arrived { way, content: collected.content, data, length: Some(data.len() as u64), packed: None };
        match self.chain.ask(&arrived) {
            Asked::Pass => {
                self.lane(way).send(collected.content, data, None, false);
                Pause::Through
            }
            Asked::Task => self.work(cx),
        }
    }

    /// A compressed message, whole and unmasked.
    fn packed(&mut self, cx: &mut Context<'_>, way: Way, content: Content, packed: &[u8]) -> Pause {
        let caps = self.caps;
        let mut plain = lend();
        let inflated = match &mut self.lane(way).codec {
            Some(codec) => codec.inflate(packed, &mut plain, caps),
            None => Err(Violation::Packed),
        };
        if let Err(violation) = inflated {
            return self.violated(way, violation);
        }
        if content == Content::Text && std::str::from_utf8(&plain).is_err() {
            return self.violated(way, Violation::Text);
        }
        let length = Some(plain.len() as u64);
        let asked = self.chain.ask(&Arrived { way, content, data: &plain, length, packed: Some(packed) });
        let pause = match asked {
            Asked::Pass => {
                let lane = self.lane(way);
                if lane.codec.as_ref().is_some_and(Codec::passes) {
                    lane.outlet.message(content, true, packed, false);
                } else {
                    let came = Came { packed: Some(Vec::new()), is_part: false };
                    lane.send(content, &plain, Some(&came), false);
                }
                Pause::Through
            }
            Asked::Task => self.work(cx),
        };
        give_back(plain);
        pause
    }

    /// As much of a message is there as anybody wants to see.
    fn enough(&mut self, cx: &mut Context<'_>, way: Way) -> Pause {
        let lane = match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        };
        let Some(collected) = lane.inlet.peek() else { return Pause::Through };
        let arrived = Arrived { way, content: collected.content, data: collected.shown(), length: None, packed: None };
        match self.chain.ask(&arrived) {
            Asked::Pass => {
                let masks = lane.outlet.masks;
                lane.inlet.release(true, masks, lane.outlet.buffer());
                Pause::Through
            }
            Asked::Task => self.work(cx),
        }
    }

    /// Go on with what plugins were asked.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) -> Pause {
        while let Poll::Ready(outcome) = self.chain.poll(cx) {
            match outcome {
                None => return Pause::Through,
                Some(Outcome::Send(sent)) => self.sent(&sent),
                Some(Outcome::Dropped(way, came)) => {
                    let lane = self.lane(way);
                    if let Some(codec) = lane.codec.as_mut().filter(|_| came.packed.is_some()) {
                        codec.spoil();
                    }
                    if came.is_part {
                        lane.inlet.release(false, false, &mut Vec::new());
                    }
                }
                Some(Outcome::Close(closing)) => {
                    self.close_code = self.close_code.or(Some(closing.code));
                    self.close_both(End::PluginClosed, &closing);
                    return Pause::Closing;
                }
                Some(Outcome::Failed) => {
                    self.fail(End::PluginFailed);
                    return Pause::Closing;
                }
            }
        }
        Pause::Waits
    }

    /// A message has passed all plugins.
    fn sent(&mut self, sent: &Sent) {
        let lane = self.lane(sent.way);
        let is_part = sent.came.as_ref().is_some_and(|came| came.is_part);
        match (is_part, sent.changed) {
            (false, _) => lane.send(sent.content, &sent.data, sent.came.as_ref(), sent.changed),
            (true, true) => {
                lane.inlet.release(false, false, &mut Vec::new());
                lane.outlet.message(sent.content, false, &sent.data, false);
            }
            (true, false) => {
                let masks = lane.outlet.masks;
                lane.inlet.release(true, masks, lane.outlet.buffer());
            }
        }
    }
}
