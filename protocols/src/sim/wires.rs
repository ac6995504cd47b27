//! The state of the simulated network: wires between parties, and one processor each.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;

use super::World;
use super::events::{Event, Events};
use super::report::StreamReport;
use super::tamper::{Recorded, Transcript, deliver};
use crate::compute::Job;
use crate::party::PartyId;
use crate::transport::Step;

/// Everything that moves in a world, behind one lock that only the world's own thread takes.
pub(super) struct State {
    pub(super) world: World,
    pub(super) parties: Vec<PartyId>,
    pub(super) events: Events,
    pub(super) wires: Vec<Wire>,
    pub(super) index: BTreeMap<(usize, usize, Step), usize>,
    /// Until when each direction between two parties is occupied.
    pub(super) lines: BTreeMap<(usize, usize), Duration>,
    pub(super) processors: Vec<Processor>,
    pub(super) gone: Vec<bool>,
    /// Nothing can happen any more: whoever still waits is told that the peer went silent.
    pub(super) silent: bool,
    pub(super) transcript: Transcript,
}

/// One direction of one step between two parties.
pub(super) struct Wire {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) step: Step,
    pub(super) opened_out: bool,
    pub(super) opened_in: bool,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) sending: bool,
    pub(super) flight: VecDeque<Parcel>,
    pub(super) arrived: VecDeque<Parcel>,
    pub(super) reader_gone: bool,
    pub(super) writer: Option<Waker>,
    pub(super) reader: Option<Waker>,
    last_arrival: Duration,
    held: Option<Bytes>,
}

/// What travels on a wire.
pub(super) enum Parcel {
    /// A sealed frame.
    Sealed(Bytes),
    /// The sender closed the stream in good order.
    Fin,
    /// The sender went away.
    Reset,
}

/// A party's own processor: one job at a time, in the order they came.
#[derive(Default)]
pub(super) struct Processor {
    pub(super) queue: VecDeque<(Job, oneshot::Sender<()>)>,
    pub(super) running: Option<oneshot::Sender<()>>,
    pub(super) spent: Duration,
}

impl State {
    pub(super) fn new(world: World, parties: Vec<PartyId>, events: Events) -> Self {
        let count = parties.len();
        Self {
            world,
            parties,
            events,
            wires: Vec::new(),
            index: BTreeMap::new(),
            lines: BTreeMap::new(),
            processors: (0..count).map(|_| Processor::default()).collect(),
            gone: vec![false; count],
            silent: false,
            transcript: Transcript::default(),
        }
    }

    /// The wire of that direction and step, made by whoever opens it first.
    pub(super) fn wire(&mut self, from: usize, to: usize, step: &Step) -> usize {
        if let Some(found) = self.index.get(&(from, to, step.clone())) {
            return *found;
        }
        let wire = self.wires.len();
        self.wires.push(Wire { reader_gone: self.gone[to], ..Wire::new(from, to, step.clone()) });
        self.index.insert((from, to, step.clone()), wire);
        if self.gone[from] {
            self.launch(wire, Parcel::Reset);
        }
        wire
    }

    /// Whether `wire` takes a frame now: the one before has left, and the receiver's buffer is not full.
    pub(super) fn ready(&self, wire: usize) -> bool {
        let wire = &self.wires[wire];
        !wire.sending && wire.arrived.len() < self.world.capacity
    }

    /// Puts a sealed frame on the line, as the network delivers it.
    pub(super) fn transmit(&mut self, wire: usize, sealed: Bytes) {
        let (from, to, step, frame) = {
            let w = &mut self.wires[wire];
            w.frames += 1;
            w.bytes += sealed.len() as u64;
            (w.from, w.to, w.step.clone(), w.frames - 1)
        };
        if self.world.record {
            let (from, to) = (self.parties[from].clone(), self.parties[to].clone());
            self.transcript.push(Recorded { from, to, step: step.clone(), frame, sealed: sealed.clone() });
        }
        let here = |t: &&super::Tamper| {
            (&t.from, &t.to, &t.step, t.frame) == (&self.parties[from], &self.parties[to], &step, frame)
        };
        let length = sealed.len();
        let (delivered, held) = deliver(self.world.tampers.iter().find(here), sealed);

        let free = self.lines.get(&(from, to)).copied().unwrap_or_default();
        let left = free.max(self.events.now()) + self.world.net.transmission(length);
        self.lines.insert((from, to), left);
        self.wires[wire].sending = true;
        self.events.at(left, Event::Sent { wire });
        let released = self.wires[wire].held.take();
        for parcel in delivered.into_iter().chain(released) {
            self.fly(wire, left, Parcel::Sealed(parcel));
        }
        self.wires[wire].held = held;
    }

    /// Sends a parcel that takes no room on the line: the end of the stream, in good order or not.
    pub(super) fn launch(&mut self, wire: usize, parcel: Parcel) {
        let now = self.events.now();
        if let Some(held) = self.wires[wire].held.take() {
            self.fly(wire, now, Parcel::Sealed(held));
        }
        self.fly(wire, now, parcel);
    }

    fn fly(&mut self, wire: usize, left: Duration, parcel: Parcel) {
        let jitter = self.events.jitter(self.world.jitter);
        let w = &mut self.wires[wire];
        let arrival = (left + self.world.net.latency + jitter).max(w.last_arrival);
        w.last_arrival = arrival;
        w.flight.push_back(parcel);
        self.events.at(arrival, Event::Arrived { wire });
    }

    /// Makes an event happen: changes the state and wakes who waited for it.
    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Sent { wire } => {
                self.wires[wire].sending = false;
                wake(&mut self.wires[wire].writer);
            }
            Event::Arrived { wire } => {
                let w = &mut self.wires[wire];
                w.arrived.extend(w.flight.pop_front());
                wake(&mut w.reader);
            }
            Event::Computed { party } => {
                if let Some(done) = self.processors[party].running.take() {
                    let _ = done.send(());
                }
            }
        }
    }

    /// `party` has ended: whoever waits for a step it never opened learns that it went away.
    pub(super) fn leave(&mut self, party: usize) {
        self.gone[party] = true;
        for wire in 0..self.wires.len() {
            if self.wires[wire].from == party && !self.wires[wire].opened_out {
                self.launch(wire, Parcel::Reset);
            }
            if self.wires[wire].to == party && !self.wires[wire].opened_in {
                self.wires[wire].reader_gone = true;
                wake(&mut self.wires[wire].writer);
            }
        }
    }

    /// Tells everyone who waits that nothing more will come.
    pub(super) fn fall_silent(&mut self) {
        self.silent = true;
        for wire in &mut self.wires {
            wake(&mut wire.reader);
            wake(&mut wire.writer);
        }
    }

    pub(super) fn streams(&self) -> Vec<StreamReport> {
        let report = |wire: &Wire| StreamReport {
            from: self.parties[wire.from].clone(),
            to: self.parties[wire.to].clone(),
            step: wire.step.clone(),
            frames: wire.frames,
            sealed_bytes: wire.bytes,
        };
        self.index.values().map(|wire| report(&self.wires[*wire])).collect()
    }
}

impl Wire {
    fn new(from: usize, to: usize, step: Step) -> Self {
        Self {
            from,
            to,
            step,
            opened_out: false,
            opened_in: false,
            frames: 0,
            bytes: 0,
            sending: false,
            flight: VecDeque::new(),
            arrived: VecDeque::new(),
            reader_gone: false,
            writer: None,
            reader: None,
            last_arrival: Duration::ZERO,
            held: None,
        }
    }
}

pub(super) fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
