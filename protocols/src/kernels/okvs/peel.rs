//! Peeling one bin: an order in which each row but the gaps decides a slot that no later row uses.

use super::dense::Equation;
use super::{Row, Value};

/// A row that was peeled, and the slot that it decides.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) row: u16,
    pub(super) slot: u16,
}

/// What is left to peel of a slot's column: how many rows use it, and the exclusive or of their numbers, which is the number
/// of the last one where one is left.
#[derive(Clone, Copy, Default)]
struct Column {
    rows: u16,
    sum: u16,
}

/// Peels `rows` over that many slots. The steps come in their order, one per row but for the gaps, whose numbers are the
/// answer; steps beyond mean nothing.
pub(super) fn peel(rows: &[Row], slots: usize, steps: &mut [Step]) -> Vec<u16> {
    let mut columns = vec![Column::default(); slots];
    for (number, row) in (0u16..).zip(rows) {
        for slot in row.slots {
            let column = &mut columns[usize::from(slot)];
            column.rows += 1;
            column.sum ^= number;
        }
    }
    let mut peeling = Peeling { rows, columns, ready: Vec::with_capacity(slots), steps, done: 0 };
    for slot in 0..slots as u16 {
        peeling.ready.push(slot);
        peeling.run();
    }
    let mut gaps = Vec::new();
    if peeling.done < rows.len() {
        let mut left = vec![true; rows.len()];
        let mut seen = 0;
        for number in 0..rows.len() as u16 {
            for step in &peeling.steps[seen..peeling.done] {
                left[usize::from(step.row)] = false;
            }
            seen = peeling.done;
            if left[usize::from(number)] {
                gaps.push(number);
                peeling.take(number);
                peeling.run();
            }
        }
    }
    gaps
}

struct Peeling<'a> {
    rows: &'a [Row],
    columns: Vec<Column>,
    /// Slots that may have one row left.
    ready: Vec<u16>,
    steps: &'a mut [Step],
    done: usize,
}

impl Peeling<'_> {
    /// Peels until no slot is ready.
    fn run(&mut self) {
        while let Some(slot) = self.ready.pop() {
            let Column { rows: 1, sum: row } = self.columns[usize::from(slot)] else { continue };
            self.steps[self.done] = Step { row, slot };
            self.done += 1;
            self.take(row);
        }
    }

    /// Takes a row away from its columns.
    fn take(&mut self, number: u16) {
        for slot in self.rows[usize::from(number)].slots {
            let column = &mut self.columns[usize::from(slot)];
            column.rows -= 1;
            column.sum ^= number;
            if column.rows == 1 {
                self.ready.push(slot);
            }
        }
    }
}

/// What the dense slots must satisfy for the gap `row`. Each peeled row is added that has its decided slot in the sum so far;
/// since no later row uses that slot, it stays out. What is left of the sum are free slots, which are already filled.
pub(super) fn eliminate<V: Value>(row: u16, rows: &[Row], values: &[V], steps: &[Step], slots: &[V]) -> Equation<V> {
    let mut equation = Equation { dense: 0, sum: V::ZERO };
    let mut used = vec![false; slots.len()];
    let mut add = |number: u16, used: &mut [bool]| {
        let number = usize::from(number);
        rows[number].slots.iter().for_each(|slot| used[usize::from(*slot)] ^= true);
        equation.dense ^= rows[number].dense;
        equation.sum = equation.sum.xor(values[number]);
    };
    add(row, &mut used);
    for step in steps {
        if used[usize::from(step.slot)] {
            add(step.row, &mut used);
        }
    }
    for (_, slot) in used.iter().zip(slots).filter(|(used, _)| **used) {
        equation.sum = equation.sum.xor(*slot);
    }
    equation
}
