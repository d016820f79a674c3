//! A ZIP archive of one file that is not compressed, the same bytes each time: Python runs and imports what is in one.

/// The archive.
pub fn zip(member: &str, content: &[u8]) -> Vec<u8> {
    let (name, size) = (member.as_bytes(), content.len() as u32);
    // Version 1.0, no flags, not compressed, and the earliest time there is; then the checksum, both sizes, and the name's length.
    let mut common = Vec::new();
    for half in [10_u16, 0, 0, 0, 0x21] {
        common.extend(half.to_le_bytes());
    }
    for word in [checksum(content), size, size] {
        common.extend(word.to_le_bytes());
    }
    common.extend((name.len() as u16).to_le_bytes());
    common.extend(0_u16.to_le_bytes());
    let entry = [b"PK\x03\x04".as_slice(), &common, name, content].concat();
    // In the directory: who made it; no comment, the first disk, no attributes, and the entry's place.
    let directory = [b"PK\x01\x02\x0a\x00".as_slice(), &common, &[0; 14], name].concat();
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    for word in [directory.len() as u32, entry.len() as u32] {
        end.extend(word.to_le_bytes());
    }
    end.extend([0; 2]);
    [entry, directory, end].concat()
}

/// CRC-32, as the format asks for (APPNOTE.TXT 4.4.7).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
