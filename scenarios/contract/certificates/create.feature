Feature: Creating certificates

  @contract-1.1.1 @contract-1.1.6
  Scenario: a new certificate gets a name, its own SKID and no revocation
    Given edp1 has a new certificate called second
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.second_der}" }
      """
    Then the call succeeds
    And the response has
      | x509_der               | {edp1.second_der}            |
      | subject_key_identifier | {edp1.second_skid}           |
      | revocation_state       | REVOCATION_STATE_UNSPECIFIED |
    And the response field name is not "{edp1.certificate}"
    And the response field name is saved as created
    When edp1 reads the certificate created
    Then the call succeeds
    And the response has
      | name     | {created}         |
      | x509_der | {edp1.second_der} |

  @contract-1.1.9
  Scenario: the server draws the id, half of it at random and half of it from its clock, whatever the client wishes
    Given edp1 has a new certificate called second
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { name: "{edp1}/certificates/AAAAAAAAAZQ" x509_der: "{edp1.second_der}" }
      """
    Then the call succeeds
    And the response field name is not "{edp1}/certificates/AAAAAAAAAZQ"
    And the response field name ends in an id drawn now

  @contract-1.1.6
  Scenario: name, state and SKID of the request are ignored
    Given edp1 has a new certificate called second
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}"
      certificate {
        name: "dataProviders/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ"
        x509_der: "{edp1.second_der}"
        revocation_state: REVOKED
        subject_key_identifier: "\x01\x02"
      }
      """
    Then the call succeeds
    And the response has
      | subject_key_identifier | {edp1.second_skid}           |
      | revocation_state       | REVOCATION_STATE_UNSPECIFIED |
    And the response field name is not "dataProviders/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ"

  @contract-1.1.5
  Scenario Outline: bytes that are not usable are refused
    Given edp1 has a "<kind>" certificate called bad
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.bad_der}" }
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo

    Examples:
      | kind        |
      | empty       |
      | garbage     |
      | truncated   |
      | skid-absent |

  @contract-1.1.5
  Scenario: no certificate at all is refused
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}"
      """
    Then the call fails with INVALID_ARGUMENT

  @contract-1.1.5
  Scenario: a malformed SKID extension is unknown, without ErrorInfo or description
    Given edp1 has a "skid-malformed" certificate called bad
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.bad_der}" }
      """
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo
    And the error has no description

  @contract-1.1.5 @contract-1.1.8
  Scenario: an empty SKID counts as present, and as one unique value
    Given edp1 has a "skid-empty" certificate called one
    And edp2 has a "skid-empty" certificate called two
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.one_der}" }
      """
    Then the call succeeds
    And the response has subject_key_identifier: ""
    When edp2 calls Certificates.CreateCertificate with
      """
      parent: "{edp2}" certificate { x509_der: "{edp2.two_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS

  @contract-1.1.7
  Scenario Outline: what is not checked is accepted
    Given edp1 has a "<kind>" certificate called odd
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.odd_der}" }
      """
    Then the call succeeds
    And the response has x509_der: {edp1.odd_der}

    Examples:
      | kind                    |
      | expired                 |
      | not-yet-valid           |
      | unknown-authority       |
      | self-signed             |
      | akid-absent             |
      | akid-of-other           |
      | ca-as-leaf              |
      | no-alternative-name     |
      | wrong-extended-key-usage |
      | empty-subject           |
      | p-384-key               |
      | ed25519-key             |
      | flipped-signature-bit   |

  @contract-1.1.8
  Scenario Outline: a SKID is unique in the whole Kingdom, across parents and kinds
    Given edp1 has a new certificate called first
    And edp1 registers its certificate first
    And <actor> has a certificate called again for the key of edp1's first
    When <actor> calls Certificates.CreateCertificate with
      """
      parent: "{<actor>}" certificate { x509_der: "{<actor>.again_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS
    And the error domain is "halo.wfanet.org"
    And the error metadata is empty

    Examples:
      | actor          |
      | edp1           |
      | edp2           |
      | mc1            |
      | modelprovider1 |
      | worker1        |

  @contract-1.1.8
  Scenario Outline: a certificate keeps its SKID in every state
    Given edp1 has a new certificate called first
    And edp1 registers its certificate first
    And edp1's certificate called first is in state <state>
    And edp1 has a certificate called again for the key of edp1's first
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.again_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS

    Examples:
      | state   |
      | HOLD    |
      | REVOKED |

  @contract-1.1.8
  Scenario: an expired certificate keeps its SKID
    Given edp1 has a new certificate called first, valid from day -20 to day -10
    And edp1 registers its certificate first
    When edp1 has a certificate called again for the key of edp1's first
    And edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.again_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS

  @contract-1.1.2/CreateCertificate
  Scenario Outline: only the parent creates
    Given edp1 has a new certificate called second
    When <actor> calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.second_der}" }
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

    Examples:
      | actor          |
      | edp2           |
      | mc1            |
      | modelprovider1 |
      | worker1        |

  @contract-1.1.2/CreateCertificate @contract-1.3.3
  Scenario: a Duchy creates its own certificate through the public API
    Given worker1 has a new certificate called second
    When worker1 calls Certificates.CreateCertificate with
      """
      parent: "{worker1}" certificate { x509_der: "{worker1.second_der}" }
      """
    Then the call succeeds
    And the response has subject_key_identifier: {worker1.second_skid}

  @contract-1.1.2/CreateCertificate @contract-1.0.11/DATA_PROVIDER_NOT_FOUND @contract-1.0.12/CreateCertificate
  Scenario: a mapped parent that does not exist is not found
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "dataProviders/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    And edp2 has a new certificate called second
    When edp2 calls Certificates.CreateCertificate with
      """
      parent: "dataProviders/AAAAAAAAAZQ" certificate { x509_der: "{edp2.second_der}" }
      """
    Then the call fails with NOT_FOUND and reason DATA_PROVIDER_NOT_FOUND
    And the error metadata is
      | dataProvider | dataProviders/AAAAAAAAAZQ |

  @contract-1.1.7
  Scenario: a certificate may be created when the clock is past its end
    Given edp1 has a new certificate called old, valid from day -20 to day -10
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{edp1.old_der}" }
      """
    Then the call succeeds

  @contract-1.0.11/CERT_SUBJECT_KEY_ID_ALREADY_EXISTS @contract-1.1.8
  Scenario: the error of an SKID in use says nothing of its holder
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp2 has a certificate called again for the key of edp1's second
    When edp2 calls Certificates.CreateCertificate with
      """
      parent: "{edp2}" certificate { x509_der: "{edp2.again_der}" }
      """
    Then the call fails with ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS
    And the error metadata is empty
