//! Key sets and hybrid encryption: round trips, determinism, and each cause of failure.

use halo_consent::{
    DecryptError, EncryptError, KeyTemplate, KeysetError, PrivateKeyset, PublicKeyset,
    unwrap_keyset,
};

use crate::support::{replace, rng};

fn generate(template: KeyTemplate, seed: u64) -> PrivateKeyset {
    PrivateKeyset::generate(template, &mut rng(seed)).unwrap()
}

/// 3.6.1, 3.6.2: both templates, one key, and the prefix of a ciphertext.
#[test]
fn round_trips() {
    for template in KeyTemplate::ALL {
        let private = generate(template, 1);
        let public = private.public();
        let again = PrivateKeyset::from_binary(&private.to_binary()).unwrap();
        assert_eq!(again.to_binary(), private.to_binary());
        assert_eq!(PublicKeyset::from_binary(&public.to_binary()).unwrap(), public);
        for plaintext in [b"".as_slice(), b"x", &[7; 100_000]] {
            for context in [b"".as_slice(), b"context"] {
                let sealed = public.encrypt(plaintext, context, &mut rng(2)).unwrap();
                assert_eq!(sealed.len(), plaintext.len() + template.overhead());
                assert_eq!(sealed[0], 1);
                assert_eq!(sealed[1..5], public.primary_key_id().to_be_bytes());
                assert_eq!(again.decrypt(&sealed, context).unwrap(), plaintext);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for template in KeyTemplate::ALL {
        let one = generate(template, 5);
        assert_eq!(one.to_binary(), generate(template, 5).to_binary());
        assert_ne!(one.to_binary(), generate(template, 6).to_binary());
        let public = one.public();
        let sealed = |seed| public.encrypt(b"text", &[], &mut rng(seed)).unwrap();
        assert_eq!(sealed(9), sealed(9));
        assert_ne!(sealed(9), sealed(10));
    }
}

#[test]
fn whatever_is_changed_does_not_open() {
    for template in KeyTemplate::ALL {
        let private = generate(template, 1);
        let sealed = private.public().encrypt(b"text", &[], &mut rng(2)).unwrap();
        let fails = |keyset: &PrivateKeyset, ciphertext: &[u8], context: &[u8]| {
            assert_eq!(keyset.decrypt(ciphertext, context), Err(DecryptError::DecryptionFailed));
        };
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            fails(&private, &changed, &[]);
        }
        for len in 0..sealed.len() {
            fails(&private, &sealed[..len], &[]);
        }
        fails(&private, &sealed, b"other context");
        fails(&generate(template, 3), &sealed, &[]);
        fails(&private, &[sealed.as_slice(), &[0]].concat(), &[]);
    }
}

/// 3.5.2: private material is no public key set.
#[test]
fn private_material_is_refused_as_a_public_key_set() {
    for template in KeyTemplate::ALL {
        let private = generate(template, 1).to_binary();
        assert_eq!(PublicKeyset::from_binary(&private), Err(KeysetError::PrivateMaterial));
        // Also as one key among public ones.
        let mixed = [private, generate(template, 2).public().to_binary()].concat();
        assert_eq!(PublicKeyset::from_binary(&mixed), Err(KeysetError::PrivateMaterial));
    }
}

#[test]
fn a_public_key_set_is_refused_as_a_private_one() {
    let public = generate(KeyTemplate::ALL[0], 1).public().to_binary();
    assert_eq!(PrivateKeyset::from_binary(&public).err(), Some(KeysetError::NoPrivateMaterial));
}

#[test]
fn what_is_no_key_set_is_malformed() {
    for bytes in [b"".as_slice(), b"not a key set", &[0xff; 40]] {
        assert!(matches!(PublicKeyset::from_binary(bytes), Err(KeysetError::Malformed(_))));
        assert!(matches!(PrivateKeyset::from_binary(bytes), Err(KeysetError::Malformed(_))));
    }
    let private = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 1);
    // A primary key id that no key has: the number is the first field, 5 bytes of varint at most.
    let other = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 2).to_binary();
    let id_field = other[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 2;
    let headless = [private.to_binary().as_slice(), &other[..id_field]].concat();
    assert_eq!(
        PrivateKeyset::from_binary(&headless).err(),
        Some(KeysetError::Malformed("no enabled primary key"))
    );
    // A disabled primary key: status is field 2 of the key, ENABLED 1, DISABLED 2.
    let disabled = replace(&private.to_binary(), &[0x18, 2, 0x10, 1], &[0x18, 2, 0x10, 2]);
    assert_eq!(
        PrivateKeyset::from_binary(&disabled).err(),
        Some(KeysetError::Malformed("no enabled primary key"))
    );
}

#[test]
fn keys_that_contradict_themselves_are_malformed() {
    for template in KeyTemplate::ALL {
        // The private key comes last in its message, 32 bytes; the other key's goes in its place.
        let private_key = |keyset: &PrivateKeyset| {
            let bytes = keyset.to_binary();
            let place = bytes.windows(2).rposition(|window| window == [0x1a, 0x20]).unwrap();
            bytes[place + 2..place + 34].to_vec()
        };
        let (one, other) = (generate(template, 1), generate(template, 2));
        let mixed = replace(&one.to_binary(), &private_key(&one), &private_key(&other));
        assert_eq!(
            PrivateKeyset::from_binary(&mixed).err(),
            Some(KeysetError::Malformed("public and private key differ"))
        );
    }
    let zero = {
        let bytes = generate(KeyTemplate::ALL[0], 1).to_binary();
        let place = bytes.windows(2).rposition(|window| window == [0x1a, 0x20]).unwrap();
        let mut zero = bytes.clone();
        zero[place + 2..place + 34].fill(0);
        zero
    };
    assert_eq!(
        PrivateKeyset::from_binary(&zero).err(),
        Some(KeysetError::Malformed("private key out of range"))
    );
}

#[test]
fn a_point_off_the_curve_is_malformed() {
    let public = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 1).public().to_binary();
    let place = public.windows(2).rposition(|window| window == [0x22, 0x20]).unwrap();
    let mut off = public;
    off[place + 33] ^= 1;
    assert_eq!(
        PublicKeyset::from_binary(&off),
        Err(KeysetError::Malformed("public key not on its curve"))
    );
}

#[test]
fn a_key_of_low_order_does_not_encrypt() {
    let keyset = generate(KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm, 1);
    let mut public = keyset.public().to_binary();
    let place = public.windows(2).rposition(|window| window == [0x1a, 0x20]).unwrap();
    public[place + 2..place + 34].fill(0);
    let public = PublicKeyset::from_binary(&public).unwrap();
    assert_eq!(public.encrypt(b"text", &[], &mut rng(1)), Err(EncryptError::EncryptionFailed));
}

#[test]
fn other_types_and_parameters_are_unsupported() {
    let ecies = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 1).public().to_binary();
    let hpke =
        generate(KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm, 1).public().to_binary();
    let reason = |bytes: &[u8]| match PublicKeyset::from_binary(bytes) {
        Err(KeysetError::Unsupported { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(&replace(&ecies, b"EciesAeadHkdfPublicKey", b"EciesAeadHkdfPublicKez")),
        "not a public key for hybrid encryption"
    );
    assert_eq!(reason(&replace(&ecies, b"AesGcmKey", b"AesEaxKey")), "data encapsulation");
    assert_eq!(reason(&replace(&ecies, &[8, 2, 16, 3], &[8, 3, 16, 3])), "curve");
    assert_eq!(reason(&replace(&ecies, &[8, 2, 16, 3], &[8, 2, 16, 1])), "hash");
    assert_eq!(reason(&replace(&ecies, &[18, 2, 16, 16], &[18, 2, 16, 24])), "AES key size");
    assert_eq!(reason(&replace(&hpke, &[8, 1, 16, 1, 24, 2], &[8, 9, 16, 1, 24, 2])), "KEM");
    assert_eq!(reason(&replace(&hpke, &[8, 1, 16, 1, 24, 2], &[8, 1, 16, 2, 24, 2])), "KDF");
    assert_eq!(reason(&replace(&hpke, &[8, 1, 16, 1, 24, 2], &[8, 1, 16, 1, 24, 9])), "AEAD");
}

/// 3.6.1: a key set with several keys is legal.
#[test]
fn a_key_set_with_two_keys_decrypts_by_key_id() {
    let one = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 1);
    let two = generate(KeyTemplate::DhkemX25519HkdfSha256HkdfSha256Aes256Gcm, 2);
    // Appended messages merge: keys add up, the last primary key id stays.
    let both = PrivateKeyset::from_binary(&[one.to_binary(), two.to_binary()].concat()).unwrap();
    assert_eq!(both.primary_key_id(), two.primary_key_id());
    for keyset in [&one, &two, &both] {
        let sealed = keyset.public().encrypt(b"text", &[], &mut rng(3)).unwrap();
        assert_eq!(both.decrypt(&sealed, &[]).unwrap(), b"text");
    }
    let sealed = both.public().encrypt(b"text", &[], &mut rng(3)).unwrap();
    assert!(one.decrypt(&sealed, &[]).is_err());
    assert_eq!(two.decrypt(&sealed, &[]).unwrap(), b"text");
}

/// 3.6.3: a coordinate may carry a leading zero.
#[test]
fn leading_zeros_of_a_coordinate_do_not_matter_and_stay() {
    // 33 bytes with a leading zero, as some Tinks write them: the lengths around it grow by one.
    let private = generate(KeyTemplate::EciesP256HkdfHmacSha256Aes128Gcm, 1);
    let public = private.public().to_binary();
    let y = public.windows(2).rposition(|window| window == [0x22, 0x20]).unwrap();
    let mut longer = public.clone();
    longer[y + 1] += 1;
    longer.insert(y + 2, 0);
    let key_data = public.windows(2).position(|window| window == b"\x0a\x3d").unwrap();
    // Two-byte lengths of the key, the key data and the value stand before their contents.
    let value = key_data + 2 + 0x3d;
    for place in [value + 1, key_data - 2, key_data - 5] {
        longer[place] += 1;
    }
    let read = PublicKeyset::from_binary(&longer).unwrap();
    assert_eq!(read.to_binary(), longer);
    let sealed = read.encrypt(b"text", &[], &mut rng(1)).unwrap();
    assert_eq!(private.decrypt(&sealed, &[]).unwrap(), b"text");
}

/// 3.5.1: format and data.
#[test]
fn formats_of_an_encryption_public_key() {
    assert_eq!(unwrap_keyset(&[]), Err(KeysetError::UnspecifiedFormat));
    assert_eq!(unwrap_keyset(&[0x12, 1, 7]), Err(KeysetError::UnspecifiedFormat));
    assert_eq!(unwrap_keyset(&[8, 2, 0x12, 1, 7]), Err(KeysetError::UnknownFormat(2)));
    assert_eq!(unwrap_keyset(&[8, 1, 0x12, 1, 7]), Ok(vec![7]));
    assert!(matches!(unwrap_keyset(&[0xff]), Err(KeysetError::Malformed(_))));
    assert_eq!(
        PublicKeyset::from_encryption_public_key(&[0x12, 1, 7]),
        Err(KeysetError::UnspecifiedFormat)
    );
}

#[test]
fn debug_shows_no_secret() {
    for template in KeyTemplate::ALL {
        let private = generate(template, 1);
        let shown = format!("{private:?}");
        assert!(shown.contains(&private.primary_key_id().to_string()), "{shown}");
        assert!(shown.len() < 200, "{shown}");
    }
}

/// 3.14: a stream opens only whole, unchanged, with its key and context; the key set is wrapped.
#[test]
fn a_stream_opens_only_as_it_was_sealed() {
    use halo_consent::StreamingKeyset;
    let keyset = StreamingKeyset::generate(&mut rng(1));
    let plaintext = vec![3; 2 << 20];
    let sealed = keyset.encrypt(&plaintext, b"", &mut rng(2)).unwrap();
    assert_eq!(keyset.decrypt(&sealed, b"").unwrap(), plaintext);
    assert!(keyset.decrypt(&sealed, b"x").is_err());
    assert!(keyset.decrypt(&sealed[..1 << 20], b"").is_err(), "cut after a segment");
    for at in [0, 5, 36, 50, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(keyset.decrypt(&changed, b"").is_err(), "{at}");
    }
    let wrapped = keyset.wrap(&[5; 32], &mut rng(3)).unwrap();
    let unwrapped = StreamingKeyset::unwrap(&wrapped, &[5; 32]).unwrap();
    assert_eq!(unwrapped.decrypt(&sealed, b"").unwrap(), plaintext);
    assert!(StreamingKeyset::unwrap(&wrapped, &[6; 32]).is_err());
    assert!(!wrapped.windows(32).any(|window| keyset.to_binary().ends_with(window)));
}
