//! As much of DNS messages (RFC 1035) as it takes to ask one question and to read its answers.

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    A = 1,
    Txt = 16,
    Aaaa = 28,
}

/// A question with recursion desired. Its id is 0, as DNS over HTTPS has it.
pub fn question(name: &str, kind: Kind) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        // A label of a config's name is 63 bytes at most; the names are checked where the config is read.
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend(label.bytes().take(63));
    }
    message.extend([0, 0, kind as u8, 0, 1]);
    message
}

/// The data of all answers, or the reason why there is none.
pub fn answers(message: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let broken = || "the answer is no DNS message".to_owned();
    let header = message.get(..12).ok_or_else(broken)?;
    let is_answer = header[0] == 0 && header[1] == 0 && header[2] & 0x80 != 0;
    if !is_answer {
        return Err(broken());
    }
    match header[3] & 0x0f {
        0 => {}
        2 => return Err("SERVFAIL".to_owned()),
        3 => return Err("NXDOMAIN".to_owned()),
        5 => return Err("REFUSED".to_owned()),
        code => return Err(format!("DNS error {code}")),
    }
    let (questions, count) = (number(header, 4), number(header, 6));
    let read = || -> Option<Vec<Vec<u8>>> {
        let mut at = 12;
        for _ in 0..questions? {
            at = behind_name(message, at)? + 4;
        }
        let mut found = Vec::new();
        for _ in 0..count? {
            at = behind_name(message, at)? + 8;
            let length = usize::from(number(message, at)?);
            at += 2;
            found.push(message.get(at..at + length)?.to_vec());
            at += length;
        }
        Some(found)
    };
    match read() {
        None => Err(broken()),
        Some(found) if found.is_empty() => Err("an empty answer".to_owned()),
        Some(found) => Ok(found),
    }
}

/// The first string of a TXT record.
pub fn first_text(data: &[u8]) -> Option<String> {
    let length = usize::from(*data.first()?);
    let text = data.get(1..=length)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Where a name ends: at its empty label, or at the pointer to its rest.
fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `coredns` answers: the question, then one TXT record with the name compressed.
    fn answered(rcode: u8) -> Vec<u8> {
        let mut message = question("p0.kubexm-check", Kind::Txt);
        message[2] |= 0x84;
        message[3] = rcode;
        message[7] = 1;
        message.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, 8]);
        message.extend(b"\x05node1\x01x");
        message
    }

    #[test]
    fn a_question_is_spelled_label_by_label() {
        let bytes = question("kubernetes.default.", Kind::A);
        assert_eq!(&bytes[12..], b"\x0akubernetes\x07default\0\0\x01\0\x01");
    }

    #[test]
    fn the_text_of_an_answer_is_found() {
        let found = answers(&answered(0)).unwrap();
        assert_eq!(first_text(&found[0]).as_deref(), Some("node1"));
    }

    #[test]
    fn what_is_no_answer_says_why() {
        assert_eq!(answers(&answered(2)).unwrap_err(), "SERVFAIL");
        assert_eq!(answers(&answered(3)).unwrap_err(), "NXDOMAIN");
        for broken in [
            &b"Error from server (ServiceUnavailable)"[..],
            b"",
            &answered(0)[..40],
        ] {
            assert_eq!(answers(broken).unwrap_err(), "the answer is no DNS message");
        }
        let mut empty = question("x", Kind::A);
        empty[2] |= 0x80;
        assert_eq!(answers(&empty).unwrap_err(), "an empty answer");
    }
}
