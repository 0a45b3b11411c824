@contract-1.0.6
Feature: Order of checks, and malformed names

  Scenario Outline: name or parent shape comes before the principal
    Given edp1 presents a "akid-absent" certificate
    When edp1 calls Certificates.<method> with
      """
      <field>: "nonsense"
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo
    And the error has a description

    Examples:
      | method                 | field  |
      | GetCertificate         | name   |
      | CreateCertificate      | parent |
      | RevokeCertificate      | name   |
      | ReleaseCertificateHold | name   |
      | ListCertificates       | parent |

  Scenario Outline: the principal comes before ownership and all other fields
    Given edp1 presents a "akid-absent" certificate
    When edp1 calls Certificates.<method> with
      """
      <fields>
      """
    Then the call fails with UNAUTHENTICATED
    And the error has no ErrorInfo
    And the error has a description

    Examples:
      | method                 | fields                                    |
      | GetCertificate         | name: "{edp2.certificate}"                |
      | CreateCertificate      | parent: "{edp2}"                          |
      | RevokeCertificate      | name: "{edp2.certificate}"                |
      | ReleaseCertificateHold | name: "{edp2.certificate}"                |
      | ListCertificates       | parent: "{edp2}" page_token: "not base64!" |

  Scenario Outline: ownership comes before the remaining fields
    When edp1 calls Certificates.<method> with
      """
      <fields>
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | method                 | fields                                        |
      | CreateCertificate      | parent: "{edp2}"                              |
      | RevokeCertificate      | name: "{edp2.certificate}"                    |
      | ReleaseCertificateHold | name: "dataProviders/nonsense/certificates/x" |
      | ListCertificates       | parent: "{edp2}" page_token: "not base64!"    |

  Scenario: ListCertificates checks page_size before the principal
    Given edp1 presents a "akid-absent" certificate
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: -1
      """
    Then the call fails with INVALID_ARGUMENT

  Scenario: RevokeCertificate checks the state before the id decodes
    When edp1 calls Certificates.RevokeCertificate with
      """
      name: "{edp1}/certificates/nonsense"
      """
    Then the call fails with INVALID_ARGUMENT

  @contract-1.0.4 @contract-2.12
  Scenario Outline: a name of the right shape with an undecodable id
    Given the quirk malformed-id-is-unknown is <fidelity>
    When edp1 calls Certificates.<method> with
      """
      name: "{edp1}/certificates/<id>" <rest>
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case                          | fidelity      | method                 | id           | rest                   | code             |
      | faithful-get-text             | faithful      | GetCertificate         | nonsense     |                        | UNKNOWN          |
      | faithful-get-empty            | faithful      | GetCertificate         |              |                        | UNKNOWN          |
      | faithful-get-zero             | faithful      | GetCertificate         | AAAAAAAAAAA  |                        | UNKNOWN          |
      | faithful-get-negative         | faithful      | GetCertificate         | __________8  |                        | UNKNOWN          |
      | faithful-get-nine-bytes       | faithful      | GetCertificate         | AAAAAAAAAZQA |                        | UNKNOWN          |
      | faithful-get-other-alphabet   | faithful      | GetCertificate         | AAAA+AAAAZQ  |                        | UNKNOWN          |
      | faithful-revoke               | faithful      | RevokeCertificate      | nonsense     | revocation_state: HOLD | UNKNOWN          |
      | faithful-release              | faithful      | ReleaseCertificateHold | nonsense     |                        | UNKNOWN          |
      | as-documented-get             | as-documented | GetCertificate         | nonsense     |                        | INVALID_ARGUMENT |
      | as-documented-revoke          | as-documented | RevokeCertificate      | nonsense     | revocation_state: HOLD | INVALID_ARGUMENT |
      | as-documented-release         | as-documented | ReleaseCertificateHold | nonsense     |                        | INVALID_ARGUMENT |

  @contract-1.1.11
  Scenario: faithfully, the alias `preferred` does not decode
    When edp1 calls Certificates.GetCertificate with
      """
      name: "{edp1}/certificates/preferred"
      """
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo
    And the error has no description

  @contract-1.1.11
  Scenario: as documented, `preferred` avoids the revoked certificate
    Given the quirk preferred-certificate-alias-unsupported is as-documented
    And edp1 has a new certificate called second, valid from day -2 to day 10
    And edp1 registers its certificate second
    And edp1's certificate is in state REVOKED
    When edp1 calls Certificates.GetCertificate with
      """
      name: "{edp1}/certificates/preferred"
      """
    Then the call succeeds
    And the response has name: {edp1.second}

  @contract-1.1.11
  Scenario: as documented, `preferred` takes the later notAfter of two valid ones
    Given the quirk preferred-certificate-alias-unsupported is as-documented
    And edp1 has a new certificate called second, valid from day -2 to day 5000
    And edp1 registers its certificate second
    When edp1 calls Certificates.GetCertificate with
      """
      name: "{edp1}/certificates/preferred"
      """
    Then the call succeeds
    And the response has name: {edp1.second}

  @contract-1.1.4 @contract-2.12
  Scenario: a padded spelling of the own id is not the own name
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}="
      """
    Then the call fails with PERMISSION_DENIED

  @contract-2.12
  Scenario: a padded certificate id decodes, and the answer is canonical
    When edp1 calls Certificates.GetCertificate with
      """
      name: "{edp1.certificate}="
      """
    Then the call succeeds
    And the response has name: {edp1.certificate}

  @contract-2.13
  Scenario Outline: shapes that are no certificate names
    When edp1 calls Certificates.GetCertificate with
      """
      name: "<name>"
      """
    Then the call fails with INVALID_ARGUMENT

    Examples:
      | case           | name                                                |
      | empty          |                                                     |
      | parent-only    | {edp1}                                              |
      | too-long       | {edp1.certificate}/x                                |
      | wrong-literal  | {edp1}/certificate/AAAAAAAAAZQ                      |
      | unknown-parent | dataproviders/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ  |
      | leading-slash  | /{edp1.certificate}                                 |
