"""Questions about runs, one a file: pure functions, frames and graphs in, frames out."""
