Feature: Listing certificates

  @contract-1.1.15
  Scenario: notBefore descending
    Given the quirk list-certificates-ignores-parent is as-documented
    And edp1 has a new certificate called oldest, valid from day -30 to day 30
    And edp1 has a new certificate called newest, valid from day 5 to day 30
    And edp1 has a new certificate called middle, valid from day -10 to day 30
    And edp1 registers its certificate oldest
    And edp1 registers its certificate newest
    And edp1 registers its certificate middle
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call succeeds
    And the response lists certificates[*].name in this order
      | {edp1.newest}      |
      | {edp1.certificate} |
      | {edp1.middle}      |
      | {edp1.oldest}      |
    And the response has next_page_token: ""

  @contract-1.1.17
  Scenario: faithfully, the certificates of all parents of the kind are listed
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call succeeds
    And the response lists certificates[*].name in any order
      | {edp1.certificate} |
      | {edp2.certificate} |

  @contract-1.1.17
  Scenario: as documented, only the parent's own certificates are listed
    Given the quirk list-certificates-ignores-parent is as-documented
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call succeeds
    And the response lists certificates[*].name in this order
      | {edp1.certificate} |

  @contract-1.1.15
  Scenario: pages follow each other without gap or repetition, and the last has no token
    Given the quirk list-certificates-ignores-parent is as-documented
    And edp1 has a new certificate called second, valid from day -10 to day 30
    And edp1 has a new certificate called third, valid from day -20 to day 30
    And edp1 registers its certificate second
    And edp1 registers its certificate third
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 2
      """
    Then the response lists certificates[*].name in this order
      | {edp1.certificate} |
      | {edp1.second}      |
    And the response field next_page_token is saved as token
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 2 page_token: "{token}"
      """
    Then the response lists certificates[*].name in this order
      | {edp1.third} |
    And the response has next_page_token: ""

  @contract-1.1.15
  Scenario: a page that just fits has no token
    Given the quirk list-certificates-ignores-parent is as-documented
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1
      """
    Then the response has 1 certificates
    And the response has next_page_token: ""

  @contract-1.0.13/ListCertificates
  Scenario: page_size may change between pages
    Given the quirk list-certificates-ignores-parent is as-documented
    And edp1 has a new certificate called second, valid from day -10 to day 30
    And edp1 has a new certificate called third, valid from day -20 to day 30
    And edp1 registers its certificate second
    And edp1 registers its certificate third
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1
      """
    Then the response field next_page_token is saved as token
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 10 page_token: "{token}"
      """
    Then the response lists certificates[*].name in this order
      | {edp1.second} |
      | {edp1.third}  |

  @contract-1.1.16
  Scenario: the SKID filter is exact and an OR
    Given edp1 has a new certificate called second
    And edp1 has a new certificate called third
    And edp1 registers its certificate second
    And edp1 registers its certificate third
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      filter {
        subject_key_identifiers: "{edp1.certificate_skid}"
        subject_key_identifiers: "{edp1.third_skid}"
        subject_key_identifiers: "\x01"
      }
      """
    Then the response lists certificates[*].name in any order
      | {edp1.certificate} |
      | {edp1.third}       |

  @contract-1.1.15 @contract-1.1.16
  Scenario: an empty result is an empty response
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" filter { subject_key_identifiers: "\x01\x02" }
      """
    Then the call succeeds
    And the response is empty

  @contract-1.1.16
  Scenario Outline: certificates are listed in every state
    Given the quirk list-certificates-ignores-parent is as-documented
    And edp1's certificate is in state <state>
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the response has 1 certificates
    And the response field certificates[0].revocation_state is "<state>"

    Examples:
      | state   |
      | HOLD    |
      | REVOKED |

  @contract-1.1.16
  Scenario: expired certificates are listed
    Given the quirk list-certificates-ignores-parent is as-documented
    And edp1 has a new certificate called old, valid from day -20 to day -10
    And edp1 registers its certificate old
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the response lists "{edp1.old}" among certificates[*].name

  @contract-1.1.18
  Scenario Outline: a token together with an SKID filter
    Given the quirk list-certificates-ignores-parent is as-documented
    And the quirk list-certificates-token-bypasses-skid-filter is <fidelity>
    And edp1 has a new certificate called a, valid from day -10 to day 30
    And edp1 has a new certificate called b, valid from day -20 to day 30
    And edp1 has a new certificate called c, valid from day -30 to day 30
    And edp1 registers its certificate a
    And edp1 registers its certificate b
    And edp1 registers its certificate c
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1
      filter { subject_key_identifiers: "{edp1.a_skid}" subject_key_identifiers: "{edp1.c_skid}" }
      """
    Then the response lists certificates[*].name in this order
      | {edp1.a} |
    And the response field next_page_token is saved as token
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_token: "{token}"
      filter { subject_key_identifiers: "{edp1.a_skid}" subject_key_identifiers: "{edp1.c_skid}" }
      """
    Then the call succeeds
    And the response has <rows> certificates
    And the response field certificates[0].name is "<first>"

    Examples:
      | fidelity      | rows | first    |
      | faithful      | 2    | {edp1.b} |
      | as-documented | 1    | {edp1.c} |

  @contract-1.0.13/ListCertificates
  Scenario Outline: a token belongs to its request
    Given edp1 has a new certificate called second, valid from day -10 to day 30
    And edp1 registers its certificate second
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1
      """
    Then the response field next_page_token is saved as token
    When <actor> calls Certificates.ListCertificates with
      """
      parent: "{<actor>}" page_token: "{token}" <filter>
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo

    Examples:
      | case           | actor | filter                                                       |
      | another-parent | edp2  |                                                              |
      | another-filter | edp1  | filter { subject_key_identifiers: "{edp1.certificate_skid}" } |

  @contract-1.0.13/ListCertificates @contract-1.0.4
  Scenario Outline: a garbage token
    Given the quirk malformed-page-token-is-unknown is <fidelity>
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_token: "<token>"
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case                     | fidelity      | token       | code             |
      | faithful-not-base64      | faithful      | not base64! | UNKNOWN          |
      | faithful-not-a-token     | faithful      | _____w      | UNKNOWN          |
      | as-documented-not-base64 | as-documented | not base64! | INVALID_ARGUMENT |

  @contract-1.1.2/ListCertificates
  Scenario: a negative page_size is refused
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: -1
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo

  @contract-1.1.2/ListCertificates
  Scenario: a page_size beyond the maximum is no error
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1001
      """
    Then the call succeeds
    And the response has 2 certificates

  @contract-1.1.2/ListCertificates
  Scenario Outline: only the parent lists
    When <actor> calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

    Examples:
      | actor          |
      | edp2           |
      | mc1            |
      | modelprovider1 |
      | worker1        |

  @contract-1.0.13/ListCertificates
  Scenario Outline: the SKIDs of a token stand in their order
    Given token is the page token wfa.measurement.api.v2alpha.ListCertificatesPageToken with
      """
      parent_key { external_data_provider_id: {edp1.number} } subject_key_identifiers: ["a", "b"]
      last_certificate { not_valid_before { seconds: 5 } external_certificate_id: 1 parent_key { external_data_provider_id: {edp1.number} } }
      """
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_token: "{token}" filter { subject_key_identifiers: [<skids>] }
      """
    Then the call <outcome>

    Examples:
      | case        | skids    | outcome                     |
      | same-order  | "a", "b" | succeeds                    |
      | other-order | "b", "a" | fails with INVALID_ARGUMENT |
      | one-of-them | "a"      | fails with INVALID_ARGUMENT |

  @contract-1.0.13/ListCertificates @contract-1.0.4
  Scenario Outline: a matching token whose last certificate names no parent
    Given token is the page token wfa.measurement.api.v2alpha.ListCertificatesPageToken with
      """
      parent_key { external_data_provider_id: {edp1.number} } <last>
      """
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_token: "{token}"
      """
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo

    Examples:
      | case                 | last                                               |
      | no-parent            | last_certificate { not_valid_before { seconds: 5 } external_certificate_id: 1 } |
      | no-last-certificate  |                                                    |
