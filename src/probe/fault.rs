//! From an error of the HTTP client to whose fault it was.
//!
//! The client wraps the operating system's error several times over; what decides is the innermost
//! one. Only errors that *we* caused become a [`Shortage`], everything else speaks of the agent.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use super::answer::{GatewayFault, Shortage};
use super::names::NameFault;

/// One exchange failed: the agent's side, or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fault(GatewayFault),
    Shortage(Shortage),
}

/// Longest detail of a TLS fault, in characters.
const DETAIL_MAX: usize = 120;

/// What an error of the client comes down to.
pub(super) fn classify(error: &reqwest::Error) -> Trouble {
    let mut tls_detail = None;
    let mut verdict = None;
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(fault) = cause.downcast_ref::<NameFault>() {
            return match fault {
                NameFault::NoSuchHost => Trouble::Fault(GatewayFault::NoSuchHost),
                NameFault::NoService => Trouble::Shortage(Shortage::Names),
                NameFault::Shortage(shortage) => Trouble::Shortage(*shortage),
            };
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if let Some(trouble) = of_system(io) {
                return trouble;
            }
            // A TLS error travels as the inside of an io::Error, whose own source() skips that inside.
            if let Some(inner) = io.get_ref() {
                if matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Other) {
                    tls_detail = Some(printable(&inner.to_string()));
                }
                next = Some(inner);
                continue;
            }
            if io.kind() == io::ErrorKind::UnexpectedEof {
                verdict = Some(GatewayFault::Closed);
            }
        }
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            if hyper.is_parse() || hyper.is_parse_too_large() {
                return Trouble::Fault(GatewayFault::NotHttp);
            }
            if hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed() {
                verdict = Some(GatewayFault::Closed);
            }
        }
        next = cause.source();
    }
    if error.is_connect()
        && let Some(detail) = tls_detail
    {
        return Trouble::Fault(GatewayFault::Tls(detail));
    }
    Trouble::Fault(verdict.unwrap_or(GatewayFault::Other))
}

/// What the operating system said, if it was the operating system.
fn of_system(error: &io::Error) -> Option<Trouble> {
    if let Some(shortage) = shortage(error) {
        return Some(Trouble::Shortage(shortage));
    }
    match Errno::from_io_error(error)? {
        Errno::CONNREFUSED => Some(Trouble::Fault(GatewayFault::Refused)),
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => Some(Trouble::Fault(GatewayFault::Closed)),
        Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::TIMEDOUT => Some(Trouble::Fault(GatewayFault::HostDown)),
        _ => None,
    }
}

/// Whether the operating system says that *we* lack something.
pub(super) fn shortage(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => Some(Shortage::Ports),
        Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN => Some(Shortage::Memory),
        // Looked up in our own routing table; a router's word about the host itself is HOSTUNREACH.
        Errno::NETUNREACH | Errno::NETDOWN => Some(Shortage::Route),
        Errno::PERM | Errno::ACCESS => Some(Shortage::Forbidden),
        _ => None,
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(DETAIL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_lack_is_never_the_agents_fault() {
        for (errno, expected) in [
            (Errno::MFILE, Some(Shortage::Descriptors)),
            (Errno::NFILE, Some(Shortage::Descriptors)),
            (Errno::ADDRNOTAVAIL, Some(Shortage::Ports)),
            (Errno::NOMEM, Some(Shortage::Memory)),
            (Errno::NOBUFS, Some(Shortage::Memory)),
            (Errno::NETUNREACH, Some(Shortage::Route)),
            (Errno::PERM, Some(Shortage::Forbidden)),
            (Errno::CONNREFUSED, None),
            (Errno::CONNRESET, None),
            (Errno::HOSTUNREACH, None),
            (Errno::TIMEDOUT, None),
        ] {
            assert_eq!(shortage(&io::Error::from(errno)), expected, "{errno:?}");
        }
    }

    #[test]
    fn a_detail_is_short_and_printable() {
        let text = printable(&format!("bad\u{1b}[31m\n\u{202e}{}", "x".repeat(500)));
        assert!(text.starts_with("bad[31mxxx") && text.len() == DETAIL_MAX, "{text}");
    }
}
