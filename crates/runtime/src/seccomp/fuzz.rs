//! Entry point of the fuzzers: any bytes as a seccomp profile.

use super::{Abi, compile_for};
use crate::spec::Seccomp;

/// Parses and compiles `data` for every machine. It must not panic, and a program must be one the kernel takes.
pub fn fuzz(data: &[u8]) {
    let Ok(profile) = serde_json::from_slice::<Seccomp>(data) else { return };
    for native in [Abi::X86_64, Abi::Aarch64, Abi::I386, Abi::Arm] {
        if let Ok(program) = compile_for(native, &profile) {
            assert!(program.instructions.len() <= 4096, "longer than the kernel takes");
            #[cfg(test)]
            super::interpreter::check(&program.instructions).unwrap();
        }
    }
}
