@contract-1.1.12
Feature: Revocation states
  A certificate goes between unspecified, HOLD and REVOKED; REVOKED is final.

  Scenario: a hold is accepted
    When edp1 calls Certificates.RevokeCertificate with
      """
      name: "{edp1.certificate}" revocation_state: HOLD
      """
    Then the call succeeds
    And the response has revocation_state: HOLD
