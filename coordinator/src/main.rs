//! `banyan`: the coordinator service and the developer's command line. See `banyan --help`.

fn main() -> std::process::ExitCode {
    banyan_coordinator::cli::main()
}
