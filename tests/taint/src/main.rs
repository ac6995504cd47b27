//! Whether the kernels' time can depend on a secret: each is run instruction by instruction, once with each of several
//! secrets, and what it executes must be the same to the last instruction and to the last address.
//!
//! `cargo run --release --locked -p banyan-taint` checks everything, with a name (or a part of one) after `--` only that.
//!
//! *What is compared.* Of every instruction between the call of a kernel and its return: where it is, the address of every
//! memory operand, the stack's among them, and the operands of divisions, whose time depends on them. So a branch, an
//! index or a division that depends on the secret is found, and named with its function, where the secrets tried make it
//! differ. The heap is in the same state each time, and addresses are not randomised.
//!
//! *What runs.* The code that the daemons run: kernels are compiled once, into the library that this program and theirs are
//! linked with, at the same profile; only functions that are generic over their element are compiled anew in each. It is
//! stepped on the processor and not interpreted, so every instruction of it is known, AVX-512 too. The engine that is
//! checked is the one that this processor gets.
//!
//! *What it does not show.* Secrets that were not tried; the keys of a key-value store, which its page says that it shows;
//! instructions other than divisions whose time depends on their operands, of which the processors that Banyan runs on
//! are not known to have any that the kernels use; what the processor does speculatively.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod cases;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod check;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod child;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod instructions;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stepper;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod symbols;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [child::FLAG, case, secret] => child::run(case, secret),
        [] => check::all(""),
        [name] => check::all(name),
        _ => {
            eprintln!("expected nothing, or a part of the name of what is to be checked");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("not run: this check steps through x86-64 instructions with Linux's ptrace");
}
