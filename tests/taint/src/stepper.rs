//! One run of a case, instruction by instruction.

use std::fs;
use std::process::Child;

use iced_x86::Register;
use nix::errno::Errno;
use nix::libc::user_regs_struct;
use nix::sys::ptrace::{self, AddressType};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::child;
use crate::instructions::{Instructions, LENGTH_MAX};

/// A process stopped at the beginning of what is compared.
pub(crate) struct Stepper {
    process: Child,
    pid: Pid,
}

impl Stepper {
    /// Starts a case with a secret, up to the beginning.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(crate) fn start(case: usize, secret: u8) -> Result<Self, String> {
        let process = child::command(case, secret).spawn().map_err(|e| format!("starting a process: {e}"))?;
        let pid = Pid::from_raw(process.id() as i32);
        let stepper = Self { process, pid };
        match stepper.wait()? {
            child::BEGIN => Ok(stepper),
            signal => Err(format!("before the call: {signal}")),
        }
    }

    /// One instruction on; `None` where the call has returned, else what is seen of the next one is in `seen`: its address
    /// first.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(crate) fn step(&self, known: &mut Instructions, seen: &mut Vec<u64>) -> Result<Option<()>, String> {
        ptrace::step(self.pid, None).map_err(|e| format!("a step: {e}"))?;
        match self.wait()? {
            Signal::SIGTRAP => {}
            child::END => return Ok(None),
            signal => return Err(format!("in the call: {signal}")),
        }
        let registers = ptrace::getregs(self.pid).map_err(|e| format!("reading registers: {e}"))?;
        seen.clear();
        seen.push(registers.rip);
        let instruction = known.at(registers.rip, || self.code(registers.rip));
        let indices = instruction.indices.map_or(Ok([0; 64]), |register| self.vector(registers, register))?;
        instruction.observe(&registers, &indices, seen);
        Ok(Some(()))
    }

    /// The content of a vector register, which ptrace's plain register set does not have: an instruction that stores it to
    /// unused stack takes the place of the next one, for one step.
    fn vector(&self, registers: user_regs_struct, register: Register) -> Result<[u8; 64], String> {
        let failed = |e: Errno| format!("reading a vector register: {e}");
        let (code, scratch) = (registers.rip as AddressType, (registers.rsp - 0x1000) & !63);
        let replaced = ptrace::read(self.pid, code).map_err(failed)?;
        ptrace::write(self.pid, code, store_to_rax(register.number())).map_err(failed)?;
        ptrace::setregs(self.pid, user_regs_struct { rax: scratch, ..registers }).map_err(failed)?;
        ptrace::step(self.pid, None).map_err(failed)?;
        let signal = self.wait()?;
        if signal != Signal::SIGTRAP {
            return Err(format!("reading a vector register: {signal}"));
        }
        let mut content = [0; 64];
        for (bytes, address) in content.chunks_exact_mut(8).zip((scratch..).step_by(8)) {
            let word = ptrace::read(self.pid, address as AddressType).map_err(failed)?;
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        ptrace::write(self.pid, code, replaced).map_err(failed)?;
        ptrace::setregs(self.pid, registers).map_err(failed)?;
        Ok(content)
    }

    /// Where a file that the process runs begins in memory, and its path, for an address in it.
    pub(crate) fn mapping(&self, address: u64) -> Option<(u64, String)> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).ok()?;
        let mappings: Vec<_> = maps.lines().filter_map(mapping).collect();
        let (_, _, path) = mappings.iter().find(|(from, to, _)| (*from..*to).contains(&address))?;
        let (base, _, _) = mappings.iter().find(|(_, _, other)| other == path)?;
        Some((*base, path.clone()))
    }

    fn wait(&self) -> Result<Signal, String> {
        match waitpid(self.pid, None).map_err(|e| format!("waiting for the process: {e}"))? {
            WaitStatus::Stopped(_, signal) => Ok(signal),
            WaitStatus::Exited(_, code) => Err(format!("the process ended with code {code}; it says why above")),
            WaitStatus::Signaled(_, signal, _) => Err(format!("the process ended by {signal}")),
            status => Err(format!("the process is in a state not foreseen: {status:?}")),
        }
    }

    /// The bytes at an address, fewer at the end of what is mapped.
    fn code(&self, address: u64) -> Vec<u8> {
        let words =
            (0..LENGTH_MAX.div_ceil(8) as u64).map(|n| ptrace::read(self.pid, (address + 8 * n) as AddressType));
        words.map_while(Result::ok).flat_map(i64::to_le_bytes).collect()
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // It ends by itself where the call has returned; else nobody needs the rest.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The eight bytes that begin with `vmovdqu64 [rax], zmm<number>` (EVEX.512.F3.0F.W1 7F /r, six bytes). Bits 3 and 4 of the
/// number go inverted into R and R' of the prefix. Where gathers are met, the processor has AVX-512.
fn store_to_rax(number: usize) -> i64 {
    let number = number as u8;
    let first = 0xf1 ^ (number >> 3 & 1) << 7 ^ (number >> 4 & 1) << 4;
    i64::from_le_bytes([0x62, first, 0xfe, 0x48, 0x7f, (number & 7) << 3, 0x90, 0x90])
}

/// From, to and path of the file, of a line of `/proc/<pid>/maps`.
fn mapping(line: &str) -> Option<(u64, u64, String)> {
    let path = &line[line.find('/')?..];
    let (from, to) = line.split_once(' ')?.0.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};

    use super::*;

    #[test]
    fn each_vector_register_has_its_store() {
        for number in 0..32 {
            let bytes = store_to_rax(number).to_le_bytes();
            let instruction = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            assert_eq!(instruction.mnemonic(), Mnemonic::Vmovdqu64);
            assert_eq!((instruction.len(), instruction.memory_base()), (6, Register::RAX));
            assert_eq!((instruction.memory_index(), instruction.memory_displacement64()), (Register::None, 0));
            assert_eq!(instruction.op1_register(), Register::ZMM0 + number as u32);
        }
    }

    #[test]
    fn mappings_are_read() {
        let line = "555555554000-55555558a000 r--p 00001000 fe:01 1234       /usr/bin/some program";
        assert_eq!(mapping(line), Some((0x5555_5555_4000, 0x5555_5558_a000, "/usr/bin/some program".to_owned())));
        assert_eq!(mapping("7ffff7ff1000-7ffff7ff5000 rw-p 00000000 00:00 0"), None);
    }
}
