@compromise
Feature: Hostile certificates, at the TLS door and at CreateCertificate
  The clause says where the contract decides; what it does not decide is a limit of the fake, listed in
  docs/limits.md with what may differ in the real system.

  @contract-2.1 @contract-2.15
  Scenario Outline: refused at the door
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the server recorded a refused handshake with cause <cause>

    Examples:
      | kind                               | cause                         | clause              |
      | expired                            | expired                       | 2.1                 |
      | just-expired                       | expired                       | 2.1                 |
      | not-yet-valid                      | not_yet_valid                 | 2.1                 |
      | reversed-validity                  | malformed_certificate         | not in the contract |
      | ca-as-leaf                         | not_for_client_authentication | not in the contract |
      | issued-by-leaf                     | not_for_client_authentication | 2.1                 |
      | self-signed                        | unknown_issuer                | 2.1                 |
      | self-signed-in-authoritys-name     | bad_signature                 | 2.1                 |
      | signed-by-other-in-authoritys-name | bad_signature                 | 2.1                 |
      | unknown-authority                  | unknown_issuer                | 2.1                 |
      | intermediate-akid-of-other         | akid_not_of_issuer            | 2.15                |
      | missing-intermediate               | unknown_issuer                | 2.1                 |
      | path-too-long                      | not_for_client_authentication | not in the contract |
      | name-constraint-violated           | not_for_client_authentication | not in the contract |
      | wrong-extended-key-usage           | not_for_client_authentication | not in the contract |
      | akid-empty                         | akid_not_of_issuer            | 2.15                |
      | akid-twice                         | malformed_certificate         | 2.15                |
      | akid-of-both                       | malformed_certificate         | 2.15                |
      | akid-of-other                      | akid_not_of_issuer            | 2.15                |
      | akid-of-nobody                     | akid_not_of_issuer            | 2.15                |
      | skid-twice                         | malformed_certificate         | 2.15                |
      | skid-huge                          | handshake_failed              | not in the contract |
      | unknown-critical-extension         | malformed_certificate         | not in the contract |
      | contradictory-constraints          | malformed_certificate         | not in the contract |
      | many-extensions                    | malformed_certificate         | not in the contract |
      | huge-extension                     | handshake_failed              | not in the contract |
      | version-1                          | malformed_certificate         | not in the contract |
      | version-1-with-extensions          | malformed_certificate         | not in the contract |
      | flipped-signature-bit              | bad_signature                 | 2.1                 |
      | empty-signature                    | bad_signature                 | 2.1                 |
      | sha1-signature                     | unsupported_algorithm         | not in the contract |
      | algorithms-disagree                | malformed_certificate         | not in the contract |
      | root-without-skid                  | not_for_client_authentication | not in the contract |
      | root-with-foreign-akid             | not_for_client_authentication | not in the contract |
      | root-without-akid                  | not_for_client_authentication | not in the contract |
      | root-with-authoritys-skid          | not_for_client_authentication | not in the contract |
      | root-with-empty-skid               | not_for_client_authentication | not in the contract |
      | root-not-ca                        | unknown_issuer                | 2.1                 |
      | root-expired                       | expired                       | 2.1                 |
      | intermediate-as-root               | not_for_client_authentication | not in the contract |
      | empty                              | malformed_certificate         | not in the contract |
      | truncated                          | malformed_certificate         | not in the contract |
      | trailing-garbage                   | malformed_certificate         | not in the contract |
      | two-certificates                   | malformed_certificate         | not in the contract |
      | pem                                | malformed_certificate         | not in the contract |
      | indefinite-length                  | malformed_certificate         | not in the contract |
      | deep-nesting                       | malformed_certificate         | not in the contract |
      | huge-length                        | malformed_certificate         | not in the contract |
      | garbage                            | handshake_failed              | not in the contract |
      | private-key                        | malformed_certificate         | not in the contract |

  @contract-2.3
  Scenario Outline: through the door as nobody
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the server recorded a refused call with cause <cause>

    Examples:
      | kind                 | cause            | clause              |
      | through-intermediate | chain_not_single | 2.3                 |
      | akid-absent          | akid_missing     | 2.3                 |
      | akid-without-key-id  | akid_missing     | 2.3                 |
      | akid-malformed       | akid_missing     | not in the contract |

  @contract-2.3 @contract-2.8
  Scenario Outline: through the door as its owner
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the server knew the caller as "{edp1}"

    Examples:
      | kind                | clause              |
      | endless-validity    | not in the contract |
      | wrong-time-form     | not in the contract |
      | wrong-name          | not in the contract |
      | no-alternative-name | not in the contract |
      | common-name-only    | not in the contract |
      | wildcard-name       | not in the contract |
      | nul-in-name         | not in the contract |
      | empty-subject       | not in the contract |
      | skid-absent         | 2.3                 |
      | skid-empty          | not in the contract |
      | skid-malformed      | not in the contract |
      | skid-of-authority   | not in the contract |
      | negative-serial     | not in the contract |
      | zero-serial         | not in the contract |
      | huge-serial         | not in the contract |
      | p-384-key           | not in the contract |
      | ed25519-key         | not in the contract |
      | authoritys-key      | not in the contract |

  @contract-1.1.5
  Scenario Outline: refused by CreateCertificate
    Given edp1 has a "<kind>" certificate called odd
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.odd_der}" }
      """
    Then the call fails with <code>
    And the server recorded a refused call with cause <cause>

    Examples:
      | kind                      | code             | cause                    | clause              |
      | akid-twice                | INVALID_ARGUMENT | extension_repeated       | 1.1.5               |
      | akid-of-both              | INVALID_ARGUMENT | extension_repeated       | 1.1.5               |
      | skid-absent               | INVALID_ARGUMENT | key_identifier_missing   | 1.1.5               |
      | skid-malformed            | UNKNOWN          | key_identifier_malformed | 1.1.5               |
      | skid-twice                | INVALID_ARGUMENT | extension_repeated       | 1.1.5               |
      | contradictory-constraints | INVALID_ARGUMENT | extension_repeated       | 1.1.5               |
      | many-extensions           | INVALID_ARGUMENT | extension_repeated       | 1.1.5               |
      | version-1                 | INVALID_ARGUMENT | key_identifier_missing   | 1.1.5               |
      | root-without-skid         | INVALID_ARGUMENT | key_identifier_missing   | 1.1.5               |
      | empty                     | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | truncated                 | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | trailing-garbage          | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | two-certificates          | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | pem                       | INVALID_ARGUMENT | malformed_certificate    | not in the contract |
      | indefinite-length         | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | deep-nesting              | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | huge-length               | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | garbage                   | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |
      | private-key               | INVALID_ARGUMENT | malformed_certificate    | 1.1.5               |

  @contract-1.1.7
  Scenario Outline: accepted by CreateCertificate
    Given edp1 has a "<kind>" certificate called odd
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.odd_der}" }
      """
    Then the response has x509_der: {edp1.odd_der}

    Examples:
      | kind                               | clause |
      | expired                            | 1.1.7  |
      | just-expired                       | 1.1.7  |
      | not-yet-valid                      | 1.1.7  |
      | reversed-validity                  | 1.1.7  |
      | endless-validity                   | 1.1.7  |
      | wrong-time-form                    | 1.1.7  |
      | wrong-name                         | 1.1.7  |
      | no-alternative-name                | 1.1.7  |
      | common-name-only                   | 1.1.7  |
      | wildcard-name                      | 1.1.7  |
      | nul-in-name                        | 1.1.7  |
      | empty-subject                      | 1.1.7  |
      | ca-as-leaf                         | 1.1.7  |
      | issued-by-leaf                     | 1.1.7  |
      | self-signed                        | 1.1.7  |
      | self-signed-in-authoritys-name     | 1.1.7  |
      | signed-by-other-in-authoritys-name | 1.1.7  |
      | unknown-authority                  | 1.1.7  |
      | through-intermediate               | 1.1.7  |
      | intermediate-akid-of-other         | 1.1.7  |
      | missing-intermediate               | 1.1.7  |
      | path-too-long                      | 1.1.7  |
      | name-constraint-violated           | 1.1.7  |
      | wrong-extended-key-usage           | 1.1.7  |
      | akid-absent                        | 1.1.7  |
      | akid-without-key-id                | 1.1.7  |
      | akid-empty                         | 1.1.7  |
      | akid-malformed                     | 1.1.7  |
      | akid-of-other                      | 1.1.7  |
      | akid-of-nobody                     | 1.1.7  |
      | skid-empty                         | 1.1.7  |
      | skid-of-authority                  | 1.1.7  |
      | skid-huge                          | 1.1.7  |
      | unknown-critical-extension         | 1.1.7  |
      | huge-extension                     | 1.1.7  |
      | version-1-with-extensions          | 1.1.7  |
      | flipped-signature-bit              | 1.1.7  |
      | empty-signature                    | 1.1.7  |
      | sha1-signature                     | 1.1.7  |
      | algorithms-disagree                | 1.1.7  |
      | negative-serial                    | 1.1.7  |
      | zero-serial                        | 1.1.7  |
      | huge-serial                        | 1.1.7  |
      | rsa-1024-key                       | 1.1.7  |
      | p-384-key                          | 1.1.7  |
      | ed25519-key                        | 1.1.7  |
      | point-off-curve                    | 1.1.7  |
      | authoritys-key                     | 1.1.7  |
      | root-with-foreign-akid             | 1.1.7  |
      | root-without-akid                  | 1.1.7  |
      | root-with-authoritys-skid          | 1.1.7  |
      | root-with-empty-skid               | 1.1.7  |
      | root-not-ca                        | 1.1.7  |
      | root-expired                       | 1.1.7  |
      | intermediate-as-root               | 1.1.7  |
