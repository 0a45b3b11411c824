//! The `halo-harness` command.

use std::io::Write as _;
use std::process::ExitCode;

/// A scenario is hundreds of thousands of small allocations on a thread of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let exit = halo_harness::cli::main(std::env::args(), &mut out);
    let flushed = out.flush();
    match exit.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => ExitCode::from(exit as u8),
        // The reader has seen enough, as `head` does: no fault of anybody.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "halo-harness: cannot write the result: {error}");
            ExitCode::from(halo_harness::run::Exit::HarnessFailed as u8)
        }
    }
}
