//! What an instruction may show to who measures time: the addresses it uses, and the operands of a division.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedMemory};
use nix::libc::user_regs_struct;

/// The longest instruction.
pub(crate) const LENGTH_MAX: usize = 15;

/// What is known of the instruction at an address.
pub(crate) struct Instruction {
    memory: Vec<UsedMemory>,
    /// Registers whose content its time depends on.
    operands: Vec<Register>,
    /// The vector of indices of a gather or scatter.
    pub(crate) indices: Option<Register>,
}

/// Instructions by address: code does not change while it is stepped through.
pub(crate) struct Instructions {
    known: HashMap<u64, Instruction>,
    factory: InstructionInfoFactory,
}

impl Instructions {
    pub(crate) fn new() -> Self {
        Self { known: HashMap::new(), factory: InstructionInfoFactory::new() }
    }

    /// The instruction at `rip`, whose bytes are read the first time.
    pub(crate) fn at(&mut self, rip: u64, code: impl FnOnce() -> Vec<u8>) -> &Instruction {
        self.known.entry(rip).or_insert_with(|| decode(rip, &code(), &mut self.factory))
    }
}

fn decode(rip: u64, code: &[u8], factory: &mut InstructionInfoFactory) -> Instruction {
    let instruction = Decoder::with_ip(64, code, rip, DecoderOptions::NONE).decode();
    assert!(!instruction.is_invalid(), "not an instruction at {rip:#x}: {code:02x?}");
    let mut operands = Vec::new();
    if matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) {
        operands.extend([Register::RAX, Register::RDX]);
        if instruction.op0_kind() == OpKind::Register {
            operands.push(instruction.op0_register());
        }
    }
    // What only computes an address (`lea`), or only names one (a long `nop`), accesses nothing.
    let accessed = |memory: &&UsedMemory| memory.access() != OpAccess::NoMemAccess;
    let memory = factory.info(&instruction).used_memory().iter().filter(accessed).copied().collect();
    let indices = instruction.is_vsib().then(|| instruction.memory_index());
    Instruction { memory, operands, indices }
}

impl Instruction {
    /// Appends what is seen of it in a state of the registers. `indices` are the bytes of [`Self::indices`]; all of them are
    /// taken for used, those that a mask leaves out too.
    pub(crate) fn observe(&self, registers: &user_regs_struct, indices: &[u8; 64], seen: &mut Vec<u64>) {
        for memory in &self.memory {
            let size = memory.vsib_size() as usize;
            let elements = memory.index().size().checked_div(size).unwrap_or(1);
            seen.extend((0..elements).filter_map(|n| {
                memory.virtual_address(n, |register, n, size| match register.is_vector_register() {
                    true => {
                        Some((0..size).rev().fold(0, |index, byte| index << 8 | u64::from(indices[n * size + byte])))
                    }
                    false => value(registers, register),
                })
            }));
        }
        seen.extend(self.operands.iter().filter_map(|register| value(registers, *register)));
    }
}

/// The value of a general register, or the base of a segment; `None` for a vector register.
fn value(registers: &user_regs_struct, register: Register) -> Option<u64> {
    let full = match register.full_register() {
        Register::RAX => registers.rax,
        Register::RBX => registers.rbx,
        Register::RCX => registers.rcx,
        Register::RDX => registers.rdx,
        Register::RSI => registers.rsi,
        Register::RDI => registers.rdi,
        Register::RBP => registers.rbp,
        Register::RSP => registers.rsp,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
        Register::FS => registers.fs_base,
        Register::GS => registers.gs_base,
        Register::CS | Register::DS | Register::ES | Register::SS => 0,
        _ => return None,
    };
    let bits = 8 * register.size().min(8);
    Some(full & u64::MAX >> (64 - bits))
}
