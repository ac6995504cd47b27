//! `banyan-node`: the node that a department or a developer hosts over its own tables. See `banyan-node --help`.

fn main() -> std::process::ExitCode {
    banyan_node::cli::main()
}
