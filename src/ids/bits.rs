//! The rules of the second generation's bits, and nothing else: what stands where is told in [`super::structural`].

/// Two bytes of an id as a number.
pub(super) const fn two(bytes: &[u8; 32], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Whether these 32 bytes are a valid condition of the second generation, its last byte zero.
pub(super) fn is_condition(bytes: &[u8; 32]) -> bool {
    let (arity, index) = (two(bytes, 17), two(bytes, 29));
    let fits = match bytes[0] {
        1 | 3 => arity == 0 && index == 0,
        2 => arity >= 2 && index <= arity,
        // 4 ("directional") stands in one SDK only and is not accepted before a contract says what it means.
        _ => false,
    };
    fits && bytes[19..27] == [0; 8] && bytes[31] == 0
}
