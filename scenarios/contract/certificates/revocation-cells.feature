@contract-1.1.12
Feature: Revocation state machine
  Three states, three calls, nine cells. What is refused changes nothing and names the present state.

  Scenario Outline: accepted
    Given edp1's certificate is in state <from>
    When edp1 changes the certificate edp1.certificate by <call>
    Then the call succeeds
    And the response has
      | name             | {edp1.certificate}     |
      | revocation_state | <to>                   |
      | x509_der         | {edp1.certificate_der} |
    And edp1 sees its certificate in state <to>

    Examples:
      | cell                  | from                         | call    | to                           |
      | unspecified-hold      | REVOCATION_STATE_UNSPECIFIED | HOLD    | HOLD                         |
      | unspecified-revoke    | REVOCATION_STATE_UNSPECIFIED | REVOKED | REVOKED                      |
      | hold-hold             | HOLD                         | HOLD    | HOLD                         |
      | hold-revoke           | HOLD                         | REVOKED | REVOKED                      |
      | hold-release          | HOLD                         | release | REVOCATION_STATE_UNSPECIFIED |
      | revoked-revoke        | REVOKED                      | REVOKED | REVOKED                      |

  @contract-1.0.11/CERTIFICATE_REVOCATION_STATE_ILLEGAL
  Scenario Outline: refused
    Given edp1's certificate is in state <from>
    When edp1 changes the certificate edp1.certificate by <call>
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | externalCertificateId        | {edp1.certificate_id} |
      | certificationRevocationState | <from>                |
    And edp1 sees its certificate in state <from>

    Examples:
      | cell                | from                         | call    |
      | unspecified-release | REVOCATION_STATE_UNSPECIFIED | release |
      | revoked-hold        | REVOKED                      | HOLD    |
      | revoked-release     | REVOKED                      | release |

  @contract-1.1.13
  Scenario Outline: an unknown enum number is refused in every state
    Given edp1's certificate is in state <from>
    When edp1 calls Certificates.RevokeCertificate with
      """
      name: "{edp1.certificate}" revocation_state: 7
      """
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL
    And the error metadata is
      | externalCertificateId        | {edp1.certificate_id} |
      | certificationRevocationState | <from>                |
    And edp1 sees its certificate in state <from>

    Examples:
      | from                         |
      | REVOCATION_STATE_UNSPECIFIED |
      | HOLD                         |
      | REVOKED                      |

  @contract-1.1.2/RevokeCertificate
  Scenario: an unspecified state is an invalid argument, without ErrorInfo
    When edp1 calls Certificates.RevokeCertificate with
      """
      name: "{edp1.certificate}"
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no ErrorInfo
    And edp1 sees its certificate in state REVOCATION_STATE_UNSPECIFIED

  @contract-1.1.2/RevokeCertificate
  Scenario: an unspecified state on a foreign certificate is first of all not permitted
    When edp2 calls Certificates.RevokeCertificate with
      """
      name: "{edp1.certificate}"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

  @contract-1.1.2/RevokeCertificate
  Scenario Outline: a missing certificate is not found, whatever the state asked for
    Given missing is "{edp1}/certificates/AAAAAAAAAZQ"
    When edp1 changes the certificate missing by <call>
    Then the call fails with NOT_FOUND and reason CERTIFICATE_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | dataProviderCertificate | {missing} |

    Examples:
      | call    |
      | HOLD    |
      | REVOKED |
      | release |

  @contract-1.0.11/CERTIFICATE_NOT_FOUND
  Scenario Outline: the metadata key of a missing certificate follows its parent's kind
    Given missing is "{<actor>}/certificates/AAAAAAAAAZQ"
    When <actor> changes the certificate missing by REVOKED
    Then the call fails with NOT_FOUND and reason CERTIFICATE_NOT_FOUND
    And the error metadata is
      | <key> | {missing} |

    Examples:
      | actor          | key                            |
      | mc1            | measurementConsumerCertificate |
      | worker1        | duchyCertificate               |
      | modelprovider1 | modelProviderCertificate       |

  @contract-1.1.12
  Scenario Outline: each kind of owner holds its own certificate
    When <actor> changes the certificate <actor>.certificate by HOLD
    Then the call succeeds
    And the response has revocation_state: HOLD

    Examples:
      | actor   |
      | edp1    |
      | mc1     |
      | worker1 |

  Scenario Outline: only the parent changes a certificate
    When <actor> changes the certificate edp1.certificate by <call>
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo
    And the error has a description
    And edp1 sees its certificate in state REVOCATION_STATE_UNSPECIFIED

    @contract-1.1.2/RevokeCertificate
    Examples:
      | case                   | actor          | call    |
      | data-provider-revokes  | edp2           | REVOKED |
      | consumer-holds         | mc1            | HOLD    |
      | model-provider-revokes | modelprovider1 | REVOKED |
      | duchy-revokes          | worker1        | REVOKED |

    @contract-1.1.2/ReleaseCertificateHold
    Examples:
      | case                   | actor          | call    |
      | data-provider-releases | edp2           | release |
