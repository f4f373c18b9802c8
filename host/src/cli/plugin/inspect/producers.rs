//! Who made a component: the `producers` sections of it and of the modules in it (WebAssembly tool
//! conventions, `ProducersSection.md`).

use std::collections::BTreeSet;

/// Sections that hold a whole module or component (Component Model, `Binary.md`).
const NESTED: [u8; 2] = [1, 4];
/// How deep components lie in each other.
const DEEPEST: usize = 8;

/// Languages and tools, each once: `Rust`, `rustc 1.95.0`. Whoever strips a component strips this too.
pub(super) fn of(bytes: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    // What cannot be read ends the search: what was found before is still true.
    let _end = binary(bytes, 0, &mut found);
    found.into_iter().collect()
}

fn binary(bytes: &[u8], depth: usize, found: &mut BTreeSet<String>) -> Option<()> {
    // Bytes 4 to 7: a module is version 1 of layer 0; others are components.
    let is_component = bytes.get(4..8)? != [1, 0, 0, 0];
    let mut rest = bytes.get(8..)?;
    while let Some((id, after)) = rest.split_first() {
        let (body, after) = sized(after)?;
        rest = after;
        if *id == 0 {
            let (name, fields) = sized(body)?;
            if name == b"producers" {
                producers(fields, found)?;
            }
        } else if is_component && NESTED.contains(id) && depth < DEEPEST {
            binary(body, depth + 1, found)?;
        }
    }
    Some(())
}

fn producers(bytes: &[u8], found: &mut BTreeSet<String>) -> Option<()> {
    let (count, mut rest) = number(bytes)?;
    for _ in 0..count {
        let (_field, after) = sized(rest)?;
        let (values, after) = number(after)?;
        rest = after;
        for _ in 0..values {
            let (name, after) = sized(rest)?;
            let (version, after) = sized(after)?;
            rest = after;
            let text = format!("{} {}", String::from_utf8_lossy(name), String::from_utf8_lossy(version));
            found.insert(text.trim().chars().filter(|c| !c.is_control()).collect());
        }
    }
    Some(())
}

/// Bytes with their length before them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(size).ok()?)
}

/// An unsigned LEB128 number of 32 bits.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u32;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f).checked_shl(u32::try_from(place * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_made_it_is_found_in_modules_within() {
        let section = b"\x09producers\x01\x08language\x01\x04Rust\x04 1.2";
        let module = [b"\0asm\x01\0\0\0\0".as_slice(), &[section.len() as u8], section].concat();
        let component = [b"\0asm\x0d\0\x01\0\x01".as_slice(), &[module.len() as u8], &module].concat();
        assert_eq!(of(&module), ["Rust  1.2"]);
        assert_eq!(of(&component), of(&module));
        for cut in 0..component.len() {
            let _whatever = of(&component[..cut]);
        }
        assert_eq!(of(b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\xff\x01"), [""; 0]);
    }
}
