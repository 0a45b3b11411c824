//! The scenarios are embedded: a changed one has to be compiled in again. So are the test files that
//! cite clauses of the contract: what they cite is compiled in, for `list --clauses`.

#[allow(unreachable_pub, reason = "a module of the library, included here")]
#[path = "src/coverage/scan.rs"]
mod scan;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The roots of the modules in which tests of section 3, and of the quirks of table 5.12, stand.
const TESTS: [&str; 4] = [
    "consent/tests/consent/main.rs",
    "tests/participants/main.rs",
    "tests/tools/main.rs",
    "src/tools/mod.rs",
];

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut citations = String::from("static CITATIONS: &[Citation] = &[\n");
    #[allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]
    {
        println!("cargo::rerun-if-changed=../scenarios");
        println!("cargo::rerun-if-changed=src/coverage/scan.rs");
        for module in TESTS {
            let folder = Path::new(module).parent().unwrap_or(Path::new(""));
            println!("cargo::rerun-if-changed={}", folder.display());
        }
    }
    for module in TESTS {
        for file in scan::module_files(&root.join(module))? {
            let shown = file.strip_prefix(&root).unwrap_or(&file).with_extension("");
            for scan::Citing { test, clauses, quirks } in
                scan::citing(&std::fs::read_to_string(&file)?)
            {
                let test = format!("harness/{}::{test}", shown.display());
                let _ = writeln!(
                    citations,
                    "    Citation {{ test: {test:?}, clauses: &{clauses:?}, quirks: &{quirks:?} }},"
                );
            }
        }
    }
    citations.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    std::fs::write(out.join("citations.rs"), citations)
}
