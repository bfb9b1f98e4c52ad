//! The way to the server: straight, or through an HTTP proxy that the user or her system has named (OPR-7). A proxy is asked
//! for a tunnel (CONNECT); TLS with the server goes through it, so it sees the server's name, and when how much is sent.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Uri};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use super::failure::{NoWay, innermost};
use crate::{Error, Result};

/// The proxies by which servers are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Those that the environment names: `HTTPS_PROXY`, else `ALL_PROXY`, but for what `NO_PROXY` excepts and for this machine itself.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Straight,
    /// This proxy, for every server.
    Through(Proxy),
}

/// An HTTP proxy, written as `http://[user:password@]host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    uri: Uri,
    auth: Option<HeaderValue>,
}

/// Reads `none`, or the address of a proxy.
impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Straight),
            text => text.parse().map(Self::Through),
        }
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The matcher reads addresses as the environment has them; it is asked about any server.
        let found = Matcher::builder().https(text).build();
        let found = found.intercept(&Uri::from_static("https://server.example"));
        let found = found.ok_or("a proxy is http://HOST:PORT, or none")?;
        if found.uri().scheme_str() != Some("http") {
            return Err(
                "proxies are spoken to by HTTP CONNECT alone: name one as http://HOST:PORT, or none"
                    .to_owned(),
            );
        }
        Ok(Self {
            uri: found.uri().clone(),
            auth: found.basic_auth().cloned(),
        })
    }
}

impl Proxy {
    /// Whether it has a user's name or password in it.
    pub fn has_credentials(&self) -> bool {
        self.auth.is_some()
    }
}

/// The address of the proxy, without its credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            self.uri.authority().map_or("", |authority| authority.as_str())
        )
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uri: _, auth: _ } = self;
        write!(f, "Proxy({self})")
    }
}

/// How one server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Straight,
    /// The proxy, and who has named it.
    Through(Proxy, &'static str),
}

impl Route {
    /// The way to an authority.
    pub(super) fn to(choice: &Choice, authority: &str) -> Result<Self> {
        Self::by(choice, authority, |name| std::env::var(name).ok())
    }

    fn by(choice: &Choice, authority: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        match choice {
            Choice::Straight => Ok(Self::Straight),
            Choice::Through(proxy) => Ok(Self::Through(proxy.clone(), "of --proxy")),
            Choice::Environment => Self::by_environment(authority, env),
        }
    }

    fn by_environment(authority: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let named = PROXIES
            .iter()
            .find_map(|(name, from)| Some((env(name)?, name, *from)));
        let Some((value, name, from)) = named.filter(|(value, ..)| !value.trim().is_empty()) else {
            return Ok(Self::Straight);
        };
        if is_local(authority) {
            return Ok(Self::Straight);
        }
        let proxy: Proxy = value.trim().parse().map_err(|cause| {
            Error::Usage(format!(
                "the environment variable {name} names a proxy that cannot be used: {cause}; --proxy goes before it"
            ))
        })?;
        let excepted = EXCEPTIONS.iter().find_map(|name| env(name)).unwrap_or_default();
        let matcher = Matcher::builder().https(value.trim()).no(excepted).build();
        let server = format!("https://{authority}").parse::<Uri>();
        let excepted = server.is_ok_and(|server| matcher.intercept(&server).is_none());
        Ok(if excepted {
            Self::Straight
        } else {
            Self::Through(proxy, from)
        })
    }

    pub(super) fn connector(&self, straight: HttpConnector) -> Connector {
        match self {
            Self::Straight => Connector::Straight(straight),
            Self::Through(proxy, from) => {
                let tunnel = Tunnel::new(proxy.uri.clone(), straight);
                let tunnel = match &proxy.auth {
                    Some(auth) => tunnel.with_auth(auth.clone()),
                    None => tunnel,
                };
                Connector::Through(tunnel, format!("{proxy} ({from})").into())
            }
        }
    }
}

/// The proxy of another machine does not lead to this one.
fn is_local(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let loopback = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    loopback || host == "localhost" || host.ends_with(".localhost")
}

/// Makes connections, through a proxy or without one.
#[derive(Clone, Debug)]
pub(super) enum Connector {
    Straight(HttpConnector),
    Through(Tunnel<HttpConnector>, Arc<str>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Straight(straight) => straight.poll_ready(context).map_err(Into::into),
            Self::Through(tunnel, _) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        match self {
            Self::Straight(straight) => {
                let connecting = straight.call(server);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Through(tunnel, proxy) => {
                let (connecting, proxy) = (tunnel.call(server), proxy.clone());
                Box::pin(async move {
                    let no_way = |cause| -> BoxError { Box::new(NoWay { proxy, cause }) };
                    match tokio::time::timeout(PATIENCE, connecting).await {
                        Ok(Ok(connection)) => Ok(connection),
                        Ok(Err(error)) => Err(no_way(said(&error))),
                        Err(_) => Err(no_way("it opens no tunnel in time".to_owned())),
                    }
                })
            }
        }
    }
}

/// What the tunnel says, for people.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let text = innermost(error).to_string();
    match text.strip_prefix("tunnel error: ") {
        Some("proxy authorization required") => {
            "it wants a user's name and password: http://USER:PASSWORD@HOST:PORT in HTTPS_PROXY".to_owned()
        }
        Some("unsuccessful") => "it refuses to open a tunnel there".to_owned(),
        Some("unexpected end of file") => "it hung up".to_owned(),
        Some(other) => other.to_owned(),
        None => text,
    }
}

/// What names a proxy, the first one that is there; an empty one is for none.
const PROXIES: [(&str, &str); 4] = [
    ("HTTPS_PROXY", "of HTTPS_PROXY"),
    ("https_proxy", "of https_proxy"),
    ("ALL_PROXY", "of ALL_PROXY"),
    ("all_proxy", "of all_proxy"),
];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// For the proxy's own connection and its answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn route(authority: &str, variables: &[(&str, &str)]) -> Result<Route> {
        let of = |name: &str| {
            let found = variables.iter().find(|(named, _)| *named == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Route::by(&Choice::Environment, authority, of)
    }

    fn through(proxy: &str, from: &'static str) -> Route {
        Route::Through(proxy.parse().unwrap(), from)
    }

    /// OPR-7
    #[test]
    fn the_environment_names_proxies_and_exceptions() {
        const P: &str = "http://proxy.example:3128";
        let cases: [(&[(&str, &str)], Route); 9] = [
            (&[], Route::Straight),
            (&[("HTTPS_PROXY", P)], through(P, "of HTTPS_PROXY")),
            (
                &[("https_proxy", "proxy.example:3128")],
                through(P, "of https_proxy"),
            ),
            (&[("ALL_PROXY", P)], through(P, "of ALL_PROXY")),
            (
                &[("ALL_PROXY", "http://other:1"), ("HTTPS_PROXY", P)],
                through(P, "of HTTPS_PROXY"),
            ),
            (&[("HTTPS_PROXY", ""), ("ALL_PROXY", P)], Route::Straight),
            (
                &[("HTTPS_PROXY", P), ("NO_PROXY", "a.org, .example")],
                Route::Straight,
            ),
            (&[("HTTPS_PROXY", P), ("no_proxy", "*")], Route::Straight),
            (
                &[("HTTPS_PROXY", P), ("NO_PROXY", "vault.org")],
                through(P, "of HTTPS_PROXY"),
            ),
        ];
        for (variables, expected) in cases {
            assert_eq!(
                route("vault.example:8443", variables).unwrap(),
                expected,
                "{variables:?}"
            );
        }
        for local in ["localhost:8443", "127.0.0.1:8443", "[::1]:8443"] {
            assert_eq!(route(local, &[("HTTPS_PROXY", P)]).unwrap(), Route::Straight);
        }
    }

    /// OPR-7: what cannot be used is named, with who has named it, and is not passed over.
    #[test]
    fn a_proxy_that_is_not_spoken_to_is_said() {
        for value in [
            "socks5://proxy.example:1080",
            "https://proxy.example:443",
            "gopher://x",
        ] {
            let error = route("vault.example:8443", &[("ALL_PROXY", value)])
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("ALL_PROXY") && error.contains("http://HOST:PORT"),
                "{error}"
            );
        }
        let chosen = Route::by(&Choice::Straight, "vault.example:8443", |_| {
            Some("socks5://x".to_owned())
        });
        assert_eq!(chosen.unwrap(), Route::Straight);
    }

    #[test]
    fn a_password_is_not_shown() {
        let proxy: Proxy = "http://anna:secret@proxy.example:3128".parse().unwrap();
        assert!(proxy.has_credentials());
        assert_eq!(proxy.to_string(), "proxy.example:3128");
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.example:3128)");
    }
}
