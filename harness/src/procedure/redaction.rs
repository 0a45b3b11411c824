//! What may be shown of a command's output: everything but the private keys and API keys it was let
//! near. A key is known by its bytes, so it is found in whatever way it was written out: PEM, base64
//! in lines of any length, or hex as `openssl pkey -text`, `xxd -p`, `xxd`, `hexdump -C` and
//! `od -t x1` write it, and in base64 or hex of its PEM text, as in the YAML of a Kubernetes Secret: what
//! was decoded is looked at again. A key that nobody knows (a command may make one and remove it) is found by its
//! shape: by what the DER of a private key begins with (RFC 5958, RFC 5915, RFC 8017), and by the labels
//! that `openssl pkey -text` writes in front of a private number. Pure.

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
/// What `openssl pkey -text` writes in front of the private numbers of a key.
const LABELS: [&str; 9] = [
    "priv:",
    "private-key:",
    "privateexponent:",
    "prime1:",
    "prime2:",
    "exponent1:",
    "exponent2:",
    "coefficient:",
    "private_key:",
];
/// So many times is looked again at what was decoded: hex of a Secret's YAML, its base64, the PEM in that.
const LAYERS: usize = 3;
/// So many hex digits on end, in a line below a label, are a number and no word.
const NUMBER_DIGITS_MIN: usize = 8;

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const OBJECT_IDENTIFIER: u8 = 6;

/// What must not be shown.
#[derive(Clone, Default)]
pub struct KnownSecrets {
    texts: Vec<String>,
    /// Every run of [`WINDOW`] bytes of a key, and of its PEM text as it lies in its file.
    windows: BTreeSet<u128>,
}

impl KnownSecrets {
    /// This text, such as an API key.
    pub fn add_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.texts.push(text.to_owned());
        }
    }

    /// The private keys of a file: every PEM block of one, or the file itself if it is one in DER. What
    /// else stands in it is no secret.
    pub fn add_keys_of(&mut self, file: &[u8]) {
        if private_part(file).is_some() {
            self.add_der(file);
        }
        let text = String::from_utf8_lossy(file);
        let mut block: Option<String> = None;
        for line in text.split_inclusive('\n') {
            if begins_pem(line) {
                block = Some(String::new());
            }
            if let Some(block) = &mut block {
                block.push_str(line);
            }
            if line.contains("-----END") {
                self.add_pem(&block.take().unwrap_or_default());
            }
        }
        // A file that somebody is writing still.
        self.add_pem(&block.unwrap_or_default());
    }

    /// A private key in PEM: its lines, its base64 on one line, its bytes, and the text that stands for
    /// them in the file, line ends and all, which may be written out in base64 or hex once more.
    pub fn add_pem(&mut self, pem: &str) {
        // `Proc-Type: 4,ENCRYPTED` is no part of the key.
        let is_body = |line: &&str| !line.starts_with('-') && !line.contains(':');
        let body: Vec<_> = pem.lines().map(str::trim).filter(is_body).collect();
        for line in body.iter().filter(|line| line.len() >= SECRET_LINE_MIN) {
            self.add_text(line);
        }
        let joined = body.concat();
        self.add_text(&joined);
        let mut private = 0..joined.len();
        if let Ok(der) = STANDARD.decode(&joined) {
            self.add_der(&der);
            private = private_digits(&der).unwrap_or(private);
        }
        // Where in the file each digit stands.
        let start = |line: &str| line.as_ptr() as usize - pem.as_ptr() as usize;
        let places: Vec<_> =
            body.iter().flat_map(|line| start(line)..start(line) + line.len()).collect();
        if let Some(&[first, .., last]) = places.get(private) {
            self.windows.extend(windows(&pem.as_bytes()[first..=last]));
        }
    }

    /// A private key in DER. What a certificate shows as well is no secret.
    pub fn add_der(&mut self, der: &[u8]) {
        self.windows.extend(windows(private_part(der).unwrap_or(der)));
    }

    /// The bytes of a key file of another kind, less what its public half holds too.
    pub fn add_bytes(&mut self, private: &[u8], public: &[u8]) {
        let public: BTreeSet<u128> = windows(public).collect();
        self.windows.extend(windows(private).filter(|window| !public.contains(window)));
    }

    /// A text without these secrets and without anything that is shaped like a private key: PEM blocks,
    /// whole or broken off, DER in base64 or hex, and the numbers that `openssl pkey -text` labels. Base64
    /// and hex of a text that holds any of these are secret too.
    pub fn redact(&self, text: &str) -> String {
        self.redact_layers(text, LAYERS)
    }

    fn redact_layers(&self, text: &str, layers: usize) -> String {
        let mut clean = without_pem(text);
        // Bytes first: what stands for a text must not cut a key in two.
        for runs_of in [dump_runs, hex_runs, base64_runs] {
            let secret: Vec<_> = runs_of(&clean)
                .into_iter()
                .filter(|run| run.readings.iter().any(|bytes| self.is_secret(bytes, layers)))
                .map(|run| run.place)
                .collect();
            for place in secret.into_iter().rev() {
                clean.replace_range(place, BLACKED_OUT);
            }
        }
        clean = without_labelled(&clean);
        // The longest first: one may stand within another.
        let mut longest: Vec<_> = self.texts.iter().collect();
        longest.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in longest {
            clean = clean.replace(secret.as_str(), BLACKED_OUT);
        }
        clean
    }

    /// Whether these bytes show a key, or are a text that would not be shown as it is.
    fn is_secret(&self, bytes: &[u8], layers: usize) -> bool {
        let is_secret_text = |layers| {
            let text = String::from_utf8_lossy(bytes);
            self.redact_layers(&text, layers) != text
        };
        self.is_in(bytes) || has_key(bytes) || layers.checked_sub(1).is_some_and(is_secret_text)
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        windows(bytes).any(|window| self.windows.contains(&window))
    }
}

fn windows(bytes: &[u8]) -> impl Iterator<Item = u128> {
    bytes.windows(WINDOW).filter_map(|window| Some(u128::from_be_bytes(window.try_into().ok()?)))
}

fn begins_pem(line: &str) -> bool {
    line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----")
}

fn without_pem(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        if begins_pem(line) && !in_key {
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

/// Without the lines of hex below a label such as `priv:`.
fn without_labelled(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    // What stands in front of the label, as in the lines below it, and whether one was left out.
    let mut below: Option<(&str, bool)> = None;
    for line in text.split_inclusive('\n') {
        if let Some((in_front, is_first)) = below {
            let number = line.strip_prefix(in_front).filter(|rest| is_number(rest));
            if let Some(number) = number {
                if is_first {
                    let indent = number.len() - number.trim_start().len();
                    clean.push_str(in_front);
                    clean.push_str(&number[..indent]);
                    clean.push_str(BLACKED_OUT);
                    clean.push('\n');
                }
                below = Some((in_front, false));
                continue;
            }
        }
        below = label_at(line).map(|at| (line[..at].trim_end(), true));
        clean.push_str(line);
    }
    clean
}

/// Where a label begins that ends this line.
fn label_at(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let found = LABELS.iter().filter_map(|label| {
        let at = line.len().checked_sub(label.len())?;
        let is_label = line.get(at..)?.eq_ignore_ascii_case(label);
        let in_front = line[..at].chars().next_back();
        (is_label && in_front.is_none_or(|c| !c.is_alphanumeric())).then_some(at)
    });
    found.min()
}

/// Bytes in hex with colons between them, or a long run of hex digits.
fn is_number(line: &str) -> bool {
    let line = line.trim();
    let bytes = line.strip_suffix(':').unwrap_or(line);
    let is_hex = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit());
    let in_pairs = bytes.split(':').all(|byte| byte.len() == 2 && is_hex(byte));
    in_pairs || (bytes.len() >= NUMBER_DIGITS_MIN && is_hex(bytes))
}

/// What of a private key in DER is private: the number of an elliptic key in PKCS #8 (RFC 5958) or
/// alone (RFC 5915), behind which stands the public key, and in front of it what every key of the curve
/// begins with; of an RSA key (RFC 8017) what follows its modulus and public exponent.
fn private_part(der: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(der, SEQUENCE)?;
    let (version, rest) = element(body, INTEGER)?;
    if version.len() != 1 || version[0] > 1 {
        return None;
    }
    match *rest.first()? {
        SEQUENCE => {
            let (algorithm, rest) = element(rest, SEQUENCE)?;
            let (key, _) = element(rest, OCTETS)?;
            let is_named = algorithm.first() == Some(&OBJECT_IDENTIFIER);
            let inner = || private_part(key).or(element(key, OCTETS).map(|(key, _)| key));
            is_named.then(|| inner().unwrap_or(key))
        }
        OCTETS => Some(element(rest, OCTETS)?.0),
        INTEGER => {
            let (_, rest) = element(rest, INTEGER)?;
            let (_, rest) = element(rest, INTEGER)?;
            (!rest.is_empty()).then_some(rest)
        }
        _ => None,
    }
}

/// Which digits of a key's base64 say nothing but what is private: a certificate of the same curve shows
/// those in front of them as well.
fn private_digits(der: &[u8]) -> Option<Range<usize>> {
    let private = private_part(der)?;
    let from = private.as_ptr() as usize - der.as_ptr() as usize;
    Some((from * 4).div_ceil(3)..(from + private.len()) * 4 / 3)
}

/// Whether the DER of a private key begins somewhere among these bytes, broken off or not.
fn has_key(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| begins_key(&bytes[at..]).is_some())
}

/// What the DER of a private key begins with, and nothing else does: a certificate request has a name
/// where PKCS #8 has an algorithm, a list of revoked certificates has one behind the algorithm.
fn begins_key(der: &[u8]) -> Option<()> {
    let (length, body) = header(der, SEQUENCE)?;
    let (&[INTEGER, 1, version], rest) = body.split_first_chunk()? else { return None };
    let begins = match *rest.first()? {
        SEQUENCE if version <= 1 => {
            let (of_algorithm, behind) = header(rest, SEQUENCE)?;
            behind.first() == Some(&OBJECT_IDENTIFIER) && behind.get(of_algorithm) == Some(&OCTETS)
        }
        OCTETS if version == 1 => {
            let (of_number, _) = header(rest, OCTETS)?;
            (16..=80).contains(&of_number) && of_number < length
        }
        INTEGER if version == 0 => header(rest, INTEGER)?.0 >= 64,
        _ => false,
    };
    begins.then_some(())
}

/// The content of the DER element of this tag at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = header(der, tag)?;
    rest.split_at_checked(length)
}

/// The length that the DER element of this tag at the front gives itself, and what follows its header.
fn header(der: &[u8], tag: u8) -> Option<(usize, &[u8])> {
    let (&[first, length], rest) = der.split_first_chunk()?;
    if first != tag {
        return None;
    }
    match length {
        0..=0x7f => Some((usize::from(length), rest)),
        0x81 => Some((usize::from(*rest.first()?), &rest[1..])),
        0x82 => Some((usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..])),
        _ => None,
    }
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
        // Two or three digits at the end are one byte or two.
        let bytes = |four: &[u8]| {
            let all = four.iter().fold(0, |all: u32, digit| all << 6 | u32::from(*digit));
            let all = all << (6 * (4 - four.len()));
            all.to_be_bytes().into_iter().skip(1).take(four.len() * 6 / 8)
        };
        let from = |start: usize| {
            digits.get(start..).unwrap_or_default().chunks(4).flat_map(bytes).collect()
        };
        Self { place, readings: (0..4).map(from).collect() }
    }
}

/// Hex digits with nothing between them but what separates bytes, over any number of lines.
fn hex_runs(text: &str) -> Vec<Written> {
    runs(text, hex_digit, |c, _| " \t\r\n:,.-_\\xX".contains(c), Written::hex)
}

/// Base64, in lines of any length, indented or not.
fn base64_runs(text: &str) -> Vec<Written> {
    let separates = |c, indents| "\r\n=".contains(c) || (indents && " \t".contains(c));
    runs(text, base64_digit, separates, Written::base64)
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
    // Also told whether nothing but blanks stands in front in the line.
    separates: fn(char, bool) -> bool,
    written: fn(Range<usize>, &[u8]) -> Written,
) -> Vec<Written> {
    let mut all = Vec::new();
    let mut digits = Vec::new();
    let (mut from, mut until) = (0, 0);
    let mut indents = true;
    // A last sign that ends every run.
    for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
        indents = c == '\n' || (indents && c.is_whitespace());
        if let Some(value) = digit(c) {
            if digits.is_empty() {
                from = at;
            }
            digits.push(value);
            until = at + c.len_utf8();
        } else if separates(c, indents) {
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
        private_part(der).unwrap().windows(4).any(|four| digits.contains(&hex::encode(four)))
    }

    type Form = fn(&[u8]) -> String;

    /// How tools write bytes out in hex.
    const HEX: [(&str, Form); 5] = [
        ("openssl pkey -text", colons),
        ("xxd -p", plain),
        ("xxd", xxd),
        ("hexdump -C", hexdump),
        ("xxd -i", array),
    ];

    #[test]
    fn a_key_that_is_written_out_in_hex_is_blacked_out_whole() {
        let key = key(1);
        let secrets = knowing(&key);
        let der = key.pkcs8_der();
        let number = private_part(der).unwrap();
        assert_eq!(number.len(), 32);
        for (name, form) in HEX {
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

    /// The same key as an EC private key without PKCS #8 around it.
    fn sec1(key: &halo_pki::KeyPair) -> &[u8] {
        let (body, _) = element(key.pkcs8_der(), SEQUENCE).unwrap();
        let (_, rest) = element(body, INTEGER).unwrap();
        let (_, rest) = element(rest, SEQUENCE).unwrap();
        element(rest, OCTETS).unwrap().0
    }

    #[test]
    fn a_key_that_nobody_knows_is_found_by_its_shape() {
        let key = key(9);
        let nothing = KnownSecrets::default();
        let in_lines: Form = |der| {
            let text = STANDARD.encode(der);
            let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
            lines.collect::<Vec<_>>().join("\n") + "\n"
        };
        let indented: Form = |der| {
            let text = STANDARD.encode(der);
            let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line));
            lines.map(|line| format!("  {line}\n")).collect()
        };
        let forms: [(&str, Form); 3] = [
            ("base64 -w 0", |der| STANDARD.encode(der) + "\n"),
            ("base64", in_lines),
            ("base64, indented", indented),
        ];
        for (name, form) in forms.into_iter().chain(HEX) {
            for der in [key.pkcs8_der(), sec1(&key), &key.pkcs8_der()[..60]] {
                let clean = nothing.redact(&format!("it is:\n{}. over\n", form(der)));
                let left = clean.replace(BLACKED_OUT, "").replace("0x", "");
                let left = left.replace(['=', '\n', ',', ' '], "");
                assert_eq!(left, "itis:.over", "{name}: {clean}");
                assert!(clean.contains(BLACKED_OUT), "{name}: {clean}");
            }
        }
    }

    #[test]
    fn a_number_that_openssl_labels_as_private_is_blacked_out_and_the_public_one_stays() {
        let key = key(9);
        let number = private_part(key.pkcs8_der()).unwrap();
        let public = colons(&key.public_key_info_der());
        let text = |label: &str, number: &str| {
            format!("Private-Key: (256 bit)\n{label}\n{number}pub:\n{public}ASN1 OID: prime256v1\n")
        };
        for label in ["priv:", "privateExponent:", "prime1:", "coefficient:"] {
            let clean = KnownSecrets::default().redact(&text(label, &colons(number)));
            assert_eq!(clean, text(label, "    [secret]\n"));
        }
        // As a script writes it that puts its own name in front of each line.
        let named = |text: String| text.lines().map(|l| format!("me: {l}\n")).collect::<String>();
        let clean = KnownSecrets::default().redact(&named(text("priv:", &colons(number))));
        assert_eq!(clean, named(text("priv:", "    [secret]\n")));
        for stays in [
            "priv:\nnot shown\nadded\n",
            "the files are priv:\n",
            "pub:\n    04:0a:0b:0c:0d:0e:0f:00:01:02:03:04:05:06:07:\n    08:09\n",
            "modulus:\n    00:c0:0b:0c:0d:0e:0f:00:01:02:03:04:05:06:07:\n",
        ] {
            assert_eq!(KnownSecrets::default().redact(stays), *stays);
        }
    }

    #[test]
    fn of_a_file_its_private_keys_are_secret_and_its_certificates_are_not() {
        let key = key(5);
        let root = root();
        let mixed = format!("{}{}", root.certificate_pem(), key.pkcs8_pem());
        for file in [mixed.as_bytes(), key.pkcs8_der(), sec1(&key)] {
            let mut secrets = KnownSecrets::default();
            secrets.add_keys_of(file);
            // The number alone: nothing in its shape says that it is one.
            let number = hex::encode(private_part(key.pkcs8_der()).unwrap());
            assert_eq!(secrets.redact(&number), BLACKED_OUT);
            for public in [root.certificate_pem(), hex::encode(root.certificate_der())] {
                assert_eq!(secrets.redact(&public), public);
            }
        }
        let mut secrets = KnownSecrets::default();
        secrets.add_keys_of(root.certificate_der());
        secrets.add_keys_of(root.certificate_pem().as_bytes());
        let number = hex::encode(private_part(key.pkcs8_der()).unwrap());
        assert_eq!(secrets.redact(&number), number, "a key that was not in the file is not known");
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

    /// Base64 in lines of this length, each with this in front.
    fn folded(bytes: &[u8], length: usize, in_front: &str) -> String {
        let text = STANDARD.encode(bytes);
        let lines = text.as_bytes().chunks(length).map(String::from_utf8_lossy);
        lines.map(|line| format!("{in_front}{line}\n")).collect()
    }

    /// What commands make of a file.
    fn written_out(file: &[u8]) -> [(&'static str, String); 9] {
        let secret = |data: &str| format!("kind: Secret\ndata:\n  tls.key: {data}");
        let yaml = secret(&folded(file, usize::MAX, ""));
        [
            ("base64 -w 0", folded(file, usize::MAX, "")),
            ("base64", folded(file, 76, "")),
            ("base64, indented", folded(file, 64, "    ")),
            ("xxd", xxd(file)),
            ("xxd -p", plain(file)),
            ("hexdump -C", hexdump(file)),
            ("the YAML of a Secret in base64", folded(yaml.as_bytes(), 76, "")),
            ("the YAML of a Secret, folded", secret(&format!("|\n{}", folded(file, 64, "    ")))),
            ("the YAML of a Secret", yaml),
        ]
    }

    #[test]
    fn the_pem_text_of_a_key_in_base64_or_hex_is_blacked_out_and_that_of_a_certificate_stays() {
        let (key, root) = (key(6), root());
        let nothing = KnownSecrets::default();
        for secrets in [&nothing, &knowing(&key)] {
            for (name, text) in written_out(key.pkcs8_pem().as_bytes()) {
                let clean = secrets.redact(&format!("it is:\n{text}: over\n"));
                let left = clean.replace("kind: Secret\ndata:\n  tls.key:", "").replace('|', "");
                let left = left.replace(['=', '\n', ' '], "");
                assert_eq!(left, "itis:[secret]:over", "{name}: {clean}");
            }
            for (name, text) in written_out(root.certificate_pem().as_bytes()) {
                assert_eq!(secrets.redact(&text), text, "{name}");
            }
        }
    }

    #[test]
    fn a_piece_of_a_known_key_s_file_in_base64_or_hex_is_blacked_out_and_no_other_key_s() {
        let (key, other) = (key(6), key(7));
        let secrets = knowing(&key);
        // Lines apart, as a script writes them that puts its own name in front of each; and from the
        // middle of the private number on: nothing in its shape says what it is.
        let piece = |key: &halo_pki::KeyPair| key.pkcs8_pem().as_bytes()[84..108].to_vec();
        for form in [|bytes: &[u8]| STANDARD.encode(bytes), |bytes: &[u8]| hex::encode(bytes)] {
            assert_eq!(secrets.redact(&form(&piece(&key))), BLACKED_OUT);
            assert_eq!(secrets.redact(&form(&piece(&other))), form(&piece(&other)));
        }
        let named = folded(key.pkcs8_pem().as_bytes(), 64, "me: ");
        // The lines with the number; the public key behind it may stay.
        let lines: Vec<_> = named.lines().collect();
        for line in [lines[1], lines[2]] {
            assert_eq!(secrets.redact(line), "me: [secret]");
        }
        let certificate = folded(root().certificate_pem().as_bytes(), 64, "me: ");
        assert_eq!(secrets.redact(&certificate), certificate);
    }

    #[test]
    fn a_known_text_in_base64_or_hex_is_blacked_out_and_another_stays() {
        let mut secrets = KnownSecrets::default();
        secrets.add_text("the-api-key-of-edp1");
        for form in [|text: &str| STANDARD.encode(text), |text: &str| hex::encode(text)] {
            // Whatever number of digits its last byte ends at.
            for in_front in ["", ":", "x-"] {
                let clean = secrets.redact(&form(&format!("{in_front}the-api-key-of-edp1")));
                assert_eq!(clean.trim_end_matches('='), BLACKED_OUT);
                let other = form(&format!("{in_front}the-api-key-of-edp2"));
                assert_eq!(secrets.redact(&other), other);
            }
        }
    }

    fn root() -> halo_pki::Authority {
        let spec = halo_pki::AuthoritySpec {
            organization: "Test".to_owned(),
            common_name: "CA".to_owned(),
            dns_name: "ca.example".to_owned(),
            validity: halo_pki::Validity::days(time::macros::datetime!(2030-01-01 00:00 UTC), 9),
        };
        halo_pki::Authority::create(&spec, &mut ChaCha20Rng::seed_from_u64(4)).unwrap()
    }

    /// What a list of revoked certificates and a certificate request begin with: the same numbers as a
    /// private key, and then a name.
    const REVOKED: &str = "3081a0020101300a06082a8648ce3d040302300d310b30090603550403";
    const REQUEST: &str = "3081a0020100300d310b300906035504030c0261623059301306072a86";

    #[test]
    fn what_is_no_key_stays() {
        let secrets = knowing(&key(3));
        let root = root();
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
            &(STANDARD.encode(root.certificate_der()) + "\n"),
            &(STANDARD.encode(public) + "\n"),
            REVOKED,
            REQUEST,
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
