//! Words for a server that does not answer.

/// The transport's words, and the proxy that they came from.
pub(super) fn unreached(proxy: Option<&str>, cause: &str) -> String {
    match proxy {
        None => format!(" ({cause})"),
        Some(proxy) => format!(" through the proxy {proxy} ({cause})"),
    }
}

/// What to do when a server does not answer, with or without a proxy between.
pub(super) fn reach(proxied: bool) -> &'static str {
    if proxied {
        "check the proxy's address, name another one with --proxy, or go without one: --proxy none, or NO_PROXY for this host"
    } else {
        "check your network, and try again; if others reach it through a proxy, name that one with --proxy; if it stays so, ask the operator"
    }
}
