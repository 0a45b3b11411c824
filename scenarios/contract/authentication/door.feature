Feature: The TLS door
  Judged by what the server recorded: what a client hears of a refusal differs from run to run.

  @contract-2.1
  Scenario Outline: certificates that do not pass
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause <cause>

    Examples:
      | kind                          | cause                         |
      | unknown-authority             | unknown_issuer                |
      | missing-intermediate          | unknown_issuer                |
      | expired                       | expired                       |
      | just-expired                  | expired                       |
      | not-yet-valid                 | not_yet_valid                 |
      | flipped-signature-bit         | bad_signature                 |
      | ca-as-leaf                    | not_for_client_authentication |
      | wrong-extended-key-usage      | not_for_client_authentication |
      | unknown-critical-extension    | malformed_certificate         |

  @contract-2.1
  Scenario: no certificate does not pass
    Given edp1 presents no certificate
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause no_client_certificate

  @contract-2.1
  Scenario: TLS 1.2 does not pass
    Given edp1 offers TLS 1.2 only
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause tls_version

  @contract-2.1
  Scenario: plaintext does not pass
    Given edp1 speaks plaintext
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause plaintext

  @contract-2.15
  Scenario Outline: an authority key identifier that is not the issuer's does not pass
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp2.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause akid_not_of_issuer

    Examples:
      | kind          |
      | akid-of-other |
      | akid-of-nobody |
      | intermediate-akid-of-other |

  @contract-2.15
  Scenario Outline: a repeated extension does not pass
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause malformed_certificate

    Examples:
      | kind         |
      | skid-twice   |
      | akid-twice   |
      | akid-of-both |

  @contract-2.1
  Scenario: a leaf that expires is refused on the next connection
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When the clock moves forward by 363 days
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When the Kingdom gets a new certificate
    And all 2 replicas are restarted
    And the clock moves forward by 3 days
    And edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause expired

  @contract-2.1
  Scenario: the operator's listener trusts the Kingdom's own root only
    When edp1 calls wfa.measurement.internal.kingdom.Certificates.GetCertificate
    Then the connection is refused
    And the server recorded a refused handshake with cause unknown_issuer

  @contract-2.1
  Scenario Outline: with optional client certificates, a call without one
    Given client certificates are optional
    And the quirk no-client-certificate-is-unknown is <fidelity>
    And edp1 presents no certificate
    When edp1 reads the certificate edp1.certificate
    Then the call fails with <code>
    And the error has no ErrorInfo
    And the server recorded an accepted handshake

    Examples:
      | fidelity      | code            |
      | faithful      | UNKNOWN         |
      | as-documented | UNAUTHENTICATED |

  @contract-2.1
  Scenario: faithfully, an API key does not help a caller without certificate
    Given client certificates are optional
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNKNOWN

  @contract-2.1
  Scenario: as documented, an API key gives a caller without certificate a principal
    Given client certificates are optional
    And the quirk no-client-certificate-is-unknown is as-documented
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    When mc1 reads the certificate mc1.certificate
    Then the call succeeds
    And the server knew the caller as "{mc1}"

  @contract-2.1
  Scenario: with optional client certificates, a bad one is still refused
    Given client certificates are optional
    And edp1 presents a "unknown-authority" certificate
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause unknown_issuer
