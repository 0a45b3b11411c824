//! What may be shown of a command's output: everything but the private keys and API keys it was let
//! near. A key is known by its bytes, so it is found in whatever way it was written out: PEM, base64
//! in lines of any length, or hex as `openssl pkey -text`, `xxd -p`, `xxd`, `hexdump -C` and
//! `od -t x1` write it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::ops::Range;

/// What stands in the place of a secret.
const BLACKED_OUT: &str = "[secret]";
/// A line of a key file that is shorter than this is not secret alone.
const SECRET_LINE_MIN: usize = 24;
/// So many bytes of a key on end give it away: 128 bits.
const WINDOW: usize = 16;

/// What must not be shown.
#[derive(Clone, Default)]
pub struct KnownSecrets {
    texts: Vec<String>,
    /// Every run of [`WINDOW`] bytes of a key.
    windows: BTreeSet<u128>,
}

impl KnownSecrets {
    /// This text, such as an API key.
    pub fn add_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.texts.push(text.to_owned());
        }
    }

    /// A private key in PEM: its lines, its base64 on one line, and its bytes.
    pub fn add_pem(&mut self, pem: &str) {
        let body: Vec<_> =
            pem.lines().map(str::trim).filter(|line| !line.starts_with('-')).collect();
        for line in body.iter().filter(|line| line.len() >= SECRET_LINE_MIN) {
            self.add_text(line);
        }
        let body = body.concat();
        self.add_text(&body);
        if let Ok(der) = STANDARD.decode(&body) {
            self.add_der(&der);
        }
    }

    /// A private key in DER. What a certificate shows as well is no secret.
    pub fn add_der(&mut self, der: &[u8]) {
        self.windows.extend(windows(scalar(der).unwrap_or(der)));
    }

    /// The bytes of a key file of another kind, less what its public half holds too.
    pub fn add_bytes(&mut self, private: &[u8], public: &[u8]) {
        let public: BTreeSet<u128> = windows(public).collect();
        self.windows.extend(windows(private).filter(|window| !public.contains(window)));
    }

    /// A text without these secrets and without any private key's PEM block, whole or broken off.
    pub fn redact(&self, text: &str) -> String {
        let mut clean = without_pem(text);
        // Bytes first: what stands for a text must not cut a key in two.
        for runs_of in [dump_runs, hex_runs, base64_runs] {
            let secret: Vec<_> = runs_of(&clean)
                .into_iter()
                .filter(|run| run.readings.iter().any(|bytes| self.is_in(bytes)))
                .map(|run| run.place)
                .collect();
            for place in secret.into_iter().rev() {
                clean.replace_range(place, BLACKED_OUT);
            }
        }
        // The longest first: one may stand within another.
        let mut longest: Vec<_> = self.texts.iter().collect();
        longest.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in longest {
            clean = clean.replace(secret.as_str(), BLACKED_OUT);
        }
        clean
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        windows(bytes).any(|window| self.windows.contains(&window))
    }
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = u128> {
    bytes.windows(WINDOW).filter_map(|window| Some(u128::from_be_bytes(window.try_into().ok()?)))
}

fn without_pem(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----");
        if begins && !in_key {
            in_key = true;
            clean.push_str(BLACKED_OUT);
            clean.push('\n');
        }
        if !in_key {
            clean.push_str(line);
        }
        in_key &= !line.contains("-----END");
    }
    clean
}

/// The private number of an elliptic key in PKCS #8 (RFC 5208, RFC 5915); behind it stands the public
/// key, and in front of it what every key of the curve begins with.
fn scalar(pkcs8: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 2;
    const OCTETS: u8 = 4;
    let (body, _) = element(pkcs8, SEQUENCE)?;
    let (_, rest) = element(body, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (key, _) = element(rest, OCTETS)?;
    let (body, _) = element(key, SEQUENCE)?;
    let (_, rest) = element(body, INTEGER)?;
    Some(element(rest, OCTETS)?.0)
}

/// The content of the DER element of this tag at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[first, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
        _ => return None,
    };
    (first == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// A stretch of text that may be bytes written out.
struct Written {
    place: Range<usize>,
    /// What bytes it may mean: it is not known with which digit a key begins.
    readings: Vec<Vec<u8>>,
}

impl Written {
    fn hex(place: Range<usize>, digits: &[u8]) -> Self {
        let bytes =
            |digits: &[u8]| digits.chunks_exact(2).map(|two| two[0] << 4 | two[1]).collect();
        let odd = digits.get(1..).unwrap_or_default();
        Self { place, readings: vec![bytes(digits), bytes(odd)] }
    }

    fn base64(place: Range<usize>, digits: &[u8]) -> Self {
        let from = |start: usize| {
            let groups = digits.get(start..).unwrap_or_default().chunks_exact(4);
            let bytes = |four: &[u8]| {
                let all = four.iter().fold(0_u32, |all, digit| all << 6 | u32::from(*digit));
                all.to_be_bytes()
            };
            groups.flat_map(|four| bytes(four).into_iter().skip(1)).collect()
        };
        Self { place, readings: (0..4).map(from).collect() }
    }
}

/// Hex digits with nothing between them but what separates bytes, over any number of lines.
fn hex_runs(text: &str) -> Vec<Written> {
    runs(text, hex_digit, |c| " \t\r\n:,.-_\\xX".contains(c), Written::hex)
}

/// Base64, in lines of any length.
fn base64_runs(text: &str) -> Vec<Written> {
    runs(text, base64_digit, |c| "\r\n=".contains(c), Written::base64)
}

fn hex_digit(c: char) -> Option<u8> {
    u8::try_from(c.to_digit(16)?).ok()
}

fn base64_digit(c: char) -> Option<u8> {
    let c = u8::try_from(c).ok()?;
    Some(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

fn runs(
    text: &str,
    digit: fn(char) -> Option<u8>,
    separates: fn(char) -> bool,
    written: fn(Range<usize>, &[u8]) -> Written,
) -> Vec<Written> {
    let mut all = Vec::new();
    let mut digits = Vec::new();
    let (mut from, mut until) = (0, 0);
    // A last sign that ends every run.
    for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
        if let Some(value) = digit(c) {
            if digits.is_empty() {
                from = at;
            }
            digits.push(value);
            until = at + c.len_utf8();
        } else if separates(c) {
            // `0x30`: the nought is no digit of the byte.
            if matches!(c, 'x' | 'X') && until == at && digits.last() == Some(&0) {
                digits.pop();
            }
        } else {
            if digits.len() >= WINDOW {
                all.push(written(from..until, &digits));
            }
            digits.clear();
        }
    }
    all
}

/// Lines of a dump with offsets, and with the bytes as text behind them: whole lines, for the text is
/// the key's too.
fn dump_runs(text: &str) -> Vec<Written> {
    let mut all = Vec::new();
    let mut digits = Vec::new();
    let (mut from, mut until, mut at) = (0, 0, 0);
    for line in text.split_inclusive('\n') {
        match dumped(line) {
            Some(more) => {
                if digits.is_empty() {
                    from = at;
                }
                digits.extend(more);
                until = at + line.trim_end().len();
            }
            None => {
                if !digits.is_empty() {
                    all.push(Written::hex(from..until, &digits));
                }
                digits.clear();
            }
        }
        at += line.len();
    }
    if !digits.is_empty() {
        all.push(Written::hex(from..until, &digits));
    }
    all
}

/// The hex digits of one line of a dump: an offset of four digits at least, groups of whole bytes, and
/// then perhaps a text in bars or behind two blanks.
fn dumped(line: &str) -> Option<Vec<u8>> {
    let (offset, rest) = line.trim().split_once(char::is_whitespace)?;
    let offset = offset.strip_suffix(':').unwrap_or(offset);
    if offset.len() < 4 || !offset.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let rest = rest.trim_start();
    // `hexdump -C` has two blanks in the middle of its bytes as well.
    let before_bar = rest.find("  |").and_then(|bar| groups(&rest[..bar]));
    before_bar.or_else(|| groups(rest.split("  ").next()?))
}

fn groups(text: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    for group in text.split_whitespace().filter(|_| text.is_ascii()) {
        if group.len() % 2 == 1 {
            return None;
        }
        digits.extend(group.chars().map(hex_digit).collect::<Option<Vec<u8>>>()?);
    }
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn key(seed: u64) -> halo_pki::KeyPair {
        halo_pki::KeyPair::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn knowing(key: &halo_pki::KeyPair) -> KnownSecrets {
        let mut secrets = KnownSecrets::default();
        secrets.add_pem(&key.pkcs8_pem());
        secrets
    }

    /// As `openssl pkey -text` writes bytes: colons, fifteen a line, indented.
    fn colons(bytes: &[u8]) -> String {
        let line = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>();
        let lines: Vec<_> =
            bytes.chunks(15).map(|b| format!("    {}", line(b).join(":"))).collect();
        lines.join(":\n") + "\n"
    }

    /// As `xxd -p` does: thirty bytes a line.
    fn plain(bytes: &[u8]) -> String {
        bytes.chunks(30).fold(String::new(), |all, line| all + &hex::encode(line) + "\n")
    }

    /// The bytes of a line as text.
    fn as_text(bytes: &[u8]) -> String {
        bytes.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '.' }).collect()
    }

    /// As `xxd` does: offset, groups of two bytes, text.
    fn xxd(bytes: &[u8]) -> String {
        let line = |(n, line): (usize, &[u8])| {
            let groups: Vec<_> = line.chunks(2).map(hex::encode).collect();
            format!("{:08x}: {:<39}  {}\n", n * 16, groups.join(" "), as_text(line))
        };
        bytes.chunks(16).enumerate().map(line).collect()
    }

    /// As `hexdump -C` does.
    fn hexdump(bytes: &[u8]) -> String {
        let line = |(n, line): (usize, &[u8])| {
            let halves: Vec<_> =
                line.chunks(8).map(|half| colons(half).replace(':', " ")).collect();
            let halves: Vec<_> = halves.iter().map(|half| half.trim()).collect();
            format!("{:08x}  {:<48}  |{}|\n", n * 16, halves.join("  "), as_text(line))
        };
        bytes.chunks(16).enumerate().map(line).collect()
    }

    /// As a header in C.
    fn array(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("0x{b:02x}, ")).collect::<String>() + "\n"
    }

    /// Whether four bytes of the private number on end stand in the text still, in hex or as they are.
    fn leaks(text: &str, key: &halo_pki::KeyPair) -> bool {
        let der = key.pkcs8_der();
        let text = text.to_lowercase().replace("0x", "");
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        scalar(der).unwrap().windows(4).any(|four| digits.contains(&hex::encode(four)))
    }

    #[test]
    fn a_key_that_is_written_out_in_hex_is_blacked_out_whole() {
        let key = key(1);
        let secrets = knowing(&key);
        let der = key.pkcs8_der();
        let number = scalar(der).unwrap();
        assert_eq!(number.len(), 32);
        type Form = fn(&[u8]) -> String;
        let forms: [(&str, Form); 5] = [
            ("openssl pkey -text", colons),
            ("xxd -p", plain),
            ("xxd", xxd),
            ("hexdump -C", hexdump),
            ("xxd -i", array),
        ];
        for (name, form) in forms {
            for bytes in [der, number] {
                let written = form(bytes);
                for written in [written.clone(), written.to_uppercase().replace("0X", "0x")] {
                    assert!(leaks(&written, &key), "{name} writes the key");
                    let clean = secrets.redact(&format!("priv: \n{written}pub: it is\n"));
                    assert!(clean.contains(BLACKED_OUT), "{name}: {clean}");
                    assert!(!leaks(&clean, &key), "{name}: {clean}");
                    let words: Vec<_> = clean.split_whitespace().collect();
                    let last = words.len() - 3;
                    assert_eq!((words[0], &words[last..]), ("priv:", &["pub:", "it", "is"][..]));
                    assert!(clean.replace(BLACKED_OUT, "").len() < 24, "{name}: {clean}");
                }
            }
        }
    }

    #[test]
    fn a_key_in_base64_with_lines_of_another_length_is_blacked_out() {
        let key = key(2);
        let secrets = knowing(&key);
        for from in 0..4 {
            // Cut somewhere, so that the digits are others than those of the file.
            let base64 = STANDARD.encode(&key.pkcs8_der()[from..]);
            let lines: Vec<_> = base64.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
            let clean = secrets.redact(&format!("it is: {}\n. done\n", lines.join("\n")));
            assert_eq!(clean.replace(['=', '\n'], ""), "it is: [secret]. done", "{from}");
        }
    }

    #[test]
    fn the_bytes_of_a_key_set_are_secret_and_those_of_its_public_half_are_not() {
        let (private, public): (Vec<u8>, Vec<u8>) = ((0..80).collect(), (40..100).collect());
        let mut secrets = KnownSecrets::default();
        secrets.add_bytes(&private, &public);
        assert_eq!(secrets.redact(&hex::encode(&private)), BLACKED_OUT);
        assert_eq!(secrets.redact(&hex::encode(&public)), hex::encode(&public));
    }

    #[test]
    fn what_is_no_key_stays() {
        let secrets = knowing(&key(3));
        let spec = halo_pki::AuthoritySpec {
            organization: "Test".to_owned(),
            common_name: "CA".to_owned(),
            dns_name: "ca.example".to_owned(),
            validity: halo_pki::Validity::days(time::macros::datetime!(2030-01-01 00:00 UTC), 9),
        };
        let root = halo_pki::Authority::create(&spec, &mut ChaCha20Rng::seed_from_u64(4)).unwrap();
        let public = &key(3).public_key_info_der();
        for text in [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  kingdom_tls.pem\n",
            "serial=5F:0A:B1:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01\n",
            &root.certificate_pem(),
            // The dump of a certificate begins with the curve's name, as the key does, and shows the
            // public half.
            &plain(root.certificate_der()),
            &xxd(root.certificate_der()),
            &colons(public),
            "replica 0 restarted\n2030-01-01T00:00:00Z 10.0.0.1:8443\n",
        ] {
            assert_eq!(secrets.redact(text), *text);
        }
    }

    #[test]
    fn no_pem_and_no_known_text_is_left() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAABBBBCCCCDDDDEEEEFFFFGGGG\nHHHH\n-----END PRIVATE KEY-----\n";
        let mut secrets = KnownSecrets::default();
        secrets.add_pem(key);
        secrets.add_text("api-key");
        let clean = secrets.redact(&format!("before\n{key}after api-key\n"));
        assert_eq!(clean, "before\n[secret]\nafter [secret]\n");
        let broken_off =
            KnownSecrets::default().redact("-----BEGIN EC PRIVATE KEY-----\nAAAA\nBBBB");
        assert_eq!(broken_off, "[secret]\n");
        let bare =
            secrets.redact("AAAABBBBCCCCDDDDEEEEFFFFGGGG and AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH");
        assert_eq!(bare, "[secret] and [secret]");
        assert_eq!(
            secrets.redact("-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "-----BEGIN CERTIFICATE-----\nAAAA\n"
        );
    }
}
