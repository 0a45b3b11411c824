Feature: Publishing an encryption public key

  @contract-1.2.4
  Scenario Outline: the owner replaces its key, and the response echoes the request
    Given <actor> has a new encryption key called fresh
    When <actor> publishes its encryption key fresh with its certificate certificate
    Then the call succeeds
    And the response has
      | name                               | {<actor>.public_key}      |
      | certificate                        | {<actor>.certificate}     |
      | public_key.signature               | {<actor>.fresh_signature} |
      | public_key.signature_algorithm_oid | {<actor>.fresh_oid}       |
      | public_key.message.format          | TINK_KEYSET               |
      | public_key.message.data            | {<actor>.fresh_keyset}    |
      | public_key.data                    | ""                        |

    Examples:
      | actor |
      | edp1  |
      | mc1   |

  @contract-1.1.10
  Scenario: registering a certificate does not make it the one in use
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    When edp1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the call succeeds
    And the response field certificate is "{edp1.certificate}"

  @contract-1.2.1 @contract-1.2.4
  Scenario Outline: what was published is what reads show afterwards
    Given <actor> has a new certificate called second
    And <actor> registers its certificate second
    And <actor> has a new encryption key called fresh
    And <actor> has published its encryption key fresh with its certificate second
    When <actor> calls <method> with
      """
      name: "{<actor>}"
      """
    Then the call succeeds
    And the response has
      | certificate                        | {<actor>.second}          |
      | certificate_der                    | {<actor>.second_der}      |
      | public_key.signature               | {<actor>.fresh_signature} |
      | public_key.signature_algorithm_oid | {<actor>.fresh_oid}       |
      | public_key.message.data            | {<actor>.fresh_keyset}    |

    Examples:
      | actor | method                                      |
      | edp1  | DataProviders.GetDataProvider               |
      | mc1   | MeasurementConsumers.GetMeasurementConsumer |

  @contract-1.0.7 @contract-1.2.4
  Scenario: publishing the same key again succeeds
    Given edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate certificate
    When edp1 publishes its encryption key fresh with its certificate certificate
    Then the call succeeds

  @contract-1.2.4
  Scenario: the echo shows fields that nobody asked for
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{edp1.public_key}" certificate: "{edp1.certificate}"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "x" } }
          data: "legacy" signature: "s"
        }
      }
      """
    Then the call succeeds
    And the response has public_key.data: 6c6567616379

  @contract-1.2.2
  Scenario Outline: the checks, in order
    Given <given>
    When <actor> calls PublicKeys.UpdatePublicKey with
      """
      public_key { <key> }
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case                          | given                              | actor | code              | key |
      | shape-before-principal        | edp1 presents a "akid-absent" certificate | edp1 | INVALID_ARGUMENT | name: "nonsense" |
      | principal-before-owner        | edp1 presents a "akid-absent" certificate | edp1 | UNAUTHENTICATED  | name: "{edp2.public_key}" certificate: "nonsense" |
      | owner-before-certificate      | a running Kingdom                  | edp1  | PERMISSION_DENIED | name: "{edp2.public_key}" certificate: "nonsense" |
      | certificate-shape             | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "nonsense" |
      | certificate-of-another-parent | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "{edp2.certificate}" public_key { signature: "s" message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "x" } } } |
      | public-key-not-set            | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "{edp1.certificate}" |
      | legacy-data-alone             | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "{edp1.certificate}" public_key { data: "x" signature: "s" } |
      | other-message-packed          | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "{edp1.certificate}" public_key { signature: "s" message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey] { data: "x" } } } |
      | message-before-id             | a running Kingdom                  | edp1  | INVALID_ARGUMENT  | name: "{edp1.public_key}" certificate: "{edp1}/certificates/nonsense" public_key { data: "x" signature: "s" } |
      | id-does-not-decode            | a running Kingdom                  | edp1  | UNKNOWN           | name: "{edp1.public_key}" certificate: "{edp1}/certificates/nonsense" public_key { message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { } } } |

  @contract-1.2.2
  Scenario Outline: empty key bytes or an empty signature are refused without description
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{edp1.public_key}" certificate: "{edp1.certificate}"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { <data> } }
          <signature>
        }
      }
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no description
    And the error has no ErrorInfo

    Examples:
      | case            | data      | signature      |
      | empty-signature | data: "x" |                |
      | empty-key       |           | signature: "s" |

  @contract-1.2.2 @contract-1.0.12/UpdatePublicKey
  Scenario: a certificate that does not exist is a failed precondition
    Given edp1 has a new encryption key called fresh
    And edp1.ghost is "{edp1}/certificates/AAAAAAAAAZQ"
    When edp1 publishes its encryption key fresh with its certificate ghost
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | dataProviderCertificate | {edp1.ghost} |

  @contract-1.2.2
  Scenario: a mapped parent that does not exist is not found
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "dataProviders/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    When edp2 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "dataProviders/AAAAAAAAAZQ/publicKey" certificate: "dataProviders/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "x" } }
          signature: "s"
        }
      }
      """
    Then the call fails with NOT_FOUND and reason DATA_PROVIDER_NOT_FOUND
    And the error metadata is
      | dataProvider | dataProviders/AAAAAAAAAZQ |

  @contract-1.2.3
  Scenario: a signature that does not verify, without OID and format, is accepted
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{edp1.public_key}" certificate: "{edp1.certificate}"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "no keyset" } }
          signature: "no signature"
        }
      }
      """
    Then the call succeeds

  @contract-1.2.3
  Scenario Outline: the state of the certificate is not looked at
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate called second is in state <state>
    And edp1 has a new encryption key called fresh, signed with second
    When edp1 publishes its encryption key fresh with its certificate second
    Then the call succeeds
    And the response has certificate: {edp1.second}

    Examples:
      | state                        |
      | REVOCATION_STATE_UNSPECIFIED |
      | HOLD                         |
      | REVOKED                      |

  @contract-1.2.3
  Scenario: an expired certificate is accepted
    Given edp1 has a new certificate called old, valid from day -20 to day -10
    And edp1 registers its certificate old
    And edp1 has a new encryption key called fresh, signed with old
    When edp1 publishes its encryption key fresh with its certificate old
    Then the call succeeds

  @contract-1.0.16
  Scenario Outline: only what follows the last slash of the type URL counts
    When edp1 calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{edp1.public_key}" certificate: "{edp1.certificate}"
        public_key { message { type_url: "<url>" value: "<value>" } signature: "s" }
      }
      """
    Then the call <outcome>

    Examples:
      | case            | outcome                     | value        | url                                                           |
      | another-prefix  | succeeds                    | \\x12\\x01x  | example.test/a/wfa.measurement.api.v2alpha.EncryptionPublicKey |
      | empty-prefix    | succeeds                    | \\x12\\x01x  | /wfa.measurement.api.v2alpha.EncryptionPublicKey              |
      | no-slash        | fails with INVALID_ARGUMENT | \\x12\\x01x  | wfa.measurement.api.v2alpha.EncryptionPublicKey               |
      | another-message | fails with INVALID_ARGUMENT | \\x12\\x01x  | type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey |
      | bytes-not-parse | fails with INVALID_ARGUMENT | \\x12\\x09x  | type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey |
