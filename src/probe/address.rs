//! Which gateway addresses are asked at all.
//!
//! The URL parser follows browsers and repairs a lot (spaces, tabs, backslashes, missing slashes); a
//! registry with such an address has a mistake in it, and what is repaired is not what was checked by
//! eye. So everything a browser would repair is refused here, as the reference does.

use reqwest::Url;

use super::answer::AddressFault;

/// The address as a URL, or why it is not asked.
pub(super) fn parse(text: &str) -> Result<Url, AddressFault> {
    let scheme_is = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !(scheme_is("http://") || scheme_is("https://")) {
        return Err(AddressFault::Scheme);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(AddressFault::Character);
    }
    let url = Url::parse(text).map_err(|_| AddressFault::Malformed)?;
    check(&url)?;
    Ok(url)
}

/// Where a redirect leads, if it leads to something that would be asked.
pub(super) fn follow(from: &Url, location: &str) -> Option<Url> {
    let url = from.join(location).ok()?;
    check(&url).ok()?;
    Some(url)
}

fn check(url: &Url) -> Result<(), AddressFault> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressFault::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressFault::UserInfo);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(AddressFault::Malformed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_are_asked() {
        use AddressFault::{Character, Malformed, Scheme, UserInfo};
        for (text, fault) in [
            ("", Scheme),
            ("localhost:8080/health", Scheme),
            ("10.0.0.7/health", Scheme),
            ("file:///etc/passwd", Scheme),
            ("data:text/plain,x", Scheme),
            ("ws://h/", Scheme),
            ("http:/h/", Scheme),
            ("http:h", Scheme),
            (" http://h/", Scheme),
            ("é", Scheme),
            ("http://h/a b", Character),
            ("http://h/\r\nX: y", Character),
            ("http://h/\u{e9}", Character),
            ("http://h\\@evil/", Character),
            ("http://kim:secret@h/", UserInfo),
            ("http://kim@h/", UserInfo),
            ("http://", Malformed),
            ("http://h:99999/", Malformed),
            ("http://h:port/", Malformed),
            ("http://[::1/", Malformed),
        ] {
            assert_eq!(parse(text), Err(fault), "{text:?}");
        }
        for text in ["http://h", "HTTP://h:80/x?y#z", "https://[::1]:8443/", "http://127.0.0.1:9/%20"] {
            assert!(parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_http() {
        let from = parse("http://h/a/b").unwrap();
        for (location, to) in [
            ("/c", Some("http://h/c")),
            ("c", Some("http://h/a/c")),
            ("//other:8/c", Some("http://other:8/c")),
            ("https://other/", Some("https://other/")),
            ("file:///etc/passwd", None),
            ("ftp://other/", None),
            ("http://kim:secret@other/", None),
            ("http://[", None),
        ] {
            assert_eq!(follow(&from, location).map(String::from).as_deref(), to, "{location}");
        }
    }
}
