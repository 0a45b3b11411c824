Feature: Reading a certificate that is not there

  @contract-1.1.2/GetCertificate
  Scenario Outline: a missing certificate that may be read
    Given the quirk get-certificate-not-found-is-unknown is <fidelity>
    And missing is "{<owner>}/certificates/AAAAAAAAAZQ"
    When <caller> reads the certificate missing
    Then the call fails with <code>

    Examples:
      | case                  | fidelity      | caller | owner | code      |
      | faithful-own          | faithful      | edp1   | edp1  | UNKNOWN   |
      | faithful-consumer     | faithful      | edp1   | mc1   | UNKNOWN   |
      | as-documented-own     | as-documented | edp1   | edp1  | NOT_FOUND |

  @contract-1.1.2/GetCertificate
  Scenario: faithfully, a missing certificate has neither ErrorInfo nor description
    Given missing is "{edp1}/certificates/AAAAAAAAAZQ"
    When edp1 reads the certificate missing
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo
    And the error has no description

  @contract-1.1.2/GetCertificate
  Scenario: as documented, a missing certificate is named
    Given the quirk get-certificate-not-found-is-unknown is as-documented
    And missing is "{edp1}/certificates/AAAAAAAAAZQ"
    When edp1 reads the certificate missing
    Then the call fails with NOT_FOUND and reason CERTIFICATE_NOT_FOUND
    And the error metadata is
      | dataProviderCertificate | {missing} |

  @contract-1.1.2/GetCertificate
  Scenario: an unknown Duchy is an invalid argument without description
    When edp1 calls Certificates.GetCertificate with
      """
      name: "duchies/nobody/certificates/AAAAAAAAAZQ"
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no description
    And the error has no ErrorInfo
