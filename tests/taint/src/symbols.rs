//! Names for addresses.

use std::fs;

use object::{Object, ObjectSymbol};

use crate::stepper::Stepper;

/// The function at an address of a stopped process, and how far into it.
pub(crate) fn name(stepper: &Stepper, address: u64) -> String {
    let Some((base, path)) = stepper.mapping(address) else {
        return format!("{address:#x}");
    };
    let offset = address - base;
    symbol(&path, offset).unwrap_or_else(|| format!("{path}+{offset:#x}"))
}

fn symbol(path: &str, offset: u64) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let symbols = file.symbols().chain(file.dynamic_symbols()).filter(|symbol| symbol.address() <= offset);
    let symbol = symbols.filter(|symbol| symbol.size() > 0).max_by_key(ObjectSymbol::address)?;
    let name = rustc_demangle::demangle(symbol.name().ok()?).to_string();
    Some(format!("{name}+{:#x}", offset - symbol.address()))
}
