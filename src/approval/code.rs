use std::fmt;

use serde::{Deserialize, Serialize};

/// Crockford's base32: no I, L, O, U, so that a code read aloud at 3 a.m. is typed right.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 6;

/// The short form of an approval key, for typing: six characters of Crockford base32, random,
/// never given twice within 30 days (the store sees to that).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code([u8; LENGTH]);

/// The text is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has {LENGTH} letters and digits, like 7K3QXM")]
pub struct InvalidCode;

impl Code {
    /// The code that 30 of these random bits spell. It holds a digit, so that in a reply no code looks like a word
    /// of a reason: one that would not begins with one.
    pub fn from_random(bits: u32) -> Self {
        let mut code: [u8; LENGTH] = std::array::from_fn(|place| ALPHABET[(bits >> (5 * place)) as usize & 31]);
        if !code.iter().any(u8::is_ascii_digit) {
            code[0] = ALPHABET[(bits & 31) as usize % 10];
        }
        Self(code)
    }

    /// Reads a code as people type it: in any case, with I and L for 1, O for 0, and hyphens or
    /// spaces left out by [`str::parse`]'s caller or not.
    pub fn parse(text: &str) -> Result<Self, InvalidCode> {
        let mut code = [0; LENGTH];
        let mut length = 0;
        for typed in text.chars().filter(|c| *c != '-') {
            let meant = match typed.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                other => other,
            };
            let known = u8::try_from(meant).ok().filter(|byte| ALPHABET.contains(byte)).ok_or(InvalidCode)?;
            *code.get_mut(length).ok_or(InvalidCode)? = known;
            length += 1;
        }
        if length == LENGTH { Ok(Self(code)) } else { Err(InvalidCode) }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Code {
    type Error = InvalidCode;
    fn try_from(text: String) -> Result<Self, InvalidCode> {
        Self::parse(&text)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> String {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = Code::parse("7K30X1").unwrap();
        for typed in ["7k30x1", "7K3OXL", "7k3-oxi", "7K30XI"] {
            assert_eq!(Code::parse(typed), Ok(code), "{typed}");
        }
        for bad in ["", "7K30X", "7K30X12", "7K30XU", "7K30X!", "７K30X1", "7K30 X1"] {
            assert_eq!(Code::parse(bad), Err(InvalidCode), "{bad}");
        }
    }

    #[test]
    fn every_random_number_is_a_code_that_reads_back() {
        for bits in [0, 1, u32::MAX, 0x1234_5678, 1 << 29] {
            let code = Code::from_random(bits);
            assert_eq!(Code::parse(&code.to_string()), Ok(code));
        }
        assert_eq!(Code::from_random(0).to_string(), "000000");
    }

    #[test]
    fn a_code_that_is_given_holds_a_digit() {
        // Only letters, at each place.
        for letter in 10u32..32 {
            let bits = (0..6).fold(0, |bits, place| bits | letter << (5 * place));
            let code = Code::from_random(bits).to_string();
            let rest = char::from(ALPHABET[letter as usize]).to_string().repeat(5);
            assert_eq!(code, format!("{}{rest}", letter % 10));
        }
        assert_eq!(Code::from_random(0b00001_11111).to_string(), "Z10000");
    }
}
