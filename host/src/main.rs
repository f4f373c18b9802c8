//! The `tidegate` program.

use std::process::ExitCode;

/// Requests make many small short-lived objects of few sizes, and idle tunnels must not keep
/// pages of them: mimalloc is faster than glibc at the first and returns memory at the second.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidegate::cli::main()
}
