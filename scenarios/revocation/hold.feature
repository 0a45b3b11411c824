@revocation
Feature: A certificate is put on hold, released, and revoked
  HOLD fails what is pending just as REVOKED does (8.1.6); a release brings back the certificate and nothing else.

  @contract-1.6.3 @contract-1.6.2
  Scenario Outline: a hold stops what is new and fails what is open, a release restores the first alone
    Given mc1 has a direct reach measurement called open with edp1
    And <owner>'s certificate is in state HOLD
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    And the server recorded a refused call with cause certificate_on_hold
    When <owner> changes the certificate <owner>.certificate by release
    And mc1 creates a reach measurement with edp1
    Then the call succeeds
    And mc1 sees its measurement open failed with CERTIFICATE_REVOKED

    Examples:
      | owner |
      | edp1  |
      | mc1   |

  @contract-1.1.12 @contract-1.6.1
  Scenario: a hold becomes a revocation, and that is the end of it
    Given edp1's certificate is in state HOLD
    When edp1 changes the certificate edp1.certificate by REVOKED
    Then edp1 sees its certificate in state REVOKED
    When edp1 changes the certificate edp1.certificate by release
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL

  @contract-1.6.5
  Scenario Outline: the order of a provider's revocation and its key's move
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1 has a new encryption key called fresh, signed with second
    And <first>
    When mc1 creates a reach measurement with edp1
    Then the call <between>
    Given <then>
    When mc1 creates a reach measurement with edp1
    Then the call succeeds

    Examples:
      | order        | first                                                                | between                       | then                                                                 |
      | update-first | edp1 has published its encryption key fresh with its certificate second | succeeds                      | edp1's certificate is in state REVOKED                               |
      | revoke-first | edp1's certificate is in state REVOKED                               | fails with FAILED_PRECONDITION | edp1 has published its encryption key fresh with its certificate second |

  # A Duchy that missed the failure turns it into a success (1.6.7): its reader must look at the failure,
  # which stays beside the result (1.5.2).
  @contract-1.6.7 @contract-1.5.2
  Scenario: a late result makes a failed measurement succeed
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    And mc1's certificate is in state REVOKED
    Then mc1 sees its measurement m failed with CERTIFICATE_REVOKED
    When aggregator delivers the result of mc1.m
    Then mc1 sees its measurement m in state SUCCEEDED
    And it is a finding by 1.6.7 that mc1.m succeeded after it had failed, which mc1 noticed by 1.5.2
    And the monitor saw exactly
      | mc1 | CERTIFICATE_REVOKED | 1.6.3 |
      | mc1 | rejected | 1.5.2 |

  # The Kingdom asks for a Duchy's certificate when the Duchy sets its parameters, and never later.
  @contract-1.6.2 @contract-1.6.3 @contract-1.8.8
  Scenario: a Duchy's hold stops its parameters, and a release lets them through
    Given mc1 has an LLv2 reach measurement called open with edp1 and edp2
    And worker1 has set its parameters for mc1.open
    And mc1 has an LLv2 reach measurement called new with edp1 and edp2
    And worker1's certificate is in state HOLD
    When worker1 sets its parameters for mc1.new
    Then the call fails with FAILED_PRECONDITION
    When worker1 changes the certificate worker1.certificate by release
    And worker1 sets its parameters for mc1.new
    Then the call succeeds
    And mc1 sees its measurement open failed with CERTIFICATE_REVOKED

  @contract-1.1.12 @contract-1.6.3
  Scenario: a model provider's hold fails nothing, and a release restores it
    Given mc1 has a direct reach measurement called open with edp1
    And modelprovider1 has a new certificate called first
    And modelprovider1 registers its certificate first
    When modelprovider1 changes the certificate modelprovider1.first by HOLD
    Then modelprovider1 sees its certificate called first in state HOLD
    When modelprovider1 changes the certificate modelprovider1.first by release
    Then modelprovider1 sees its certificate called first in state REVOCATION_STATE_UNSPECIFIED
    And mc1 sees its measurement open in state AWAITING_REQUISITION_FULFILLMENT
