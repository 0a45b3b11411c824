//! The scenarios are embedded: a changed one has to be compiled in again.

fn main() {
    #[allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]
    {
        println!("cargo::rerun-if-changed=../scenarios");
    }
}
