# Where the real process ends instead of refusing (contract 3.10.1): each oddity is switched on by
# name, and what its documentation promises stands beside it.
Feature: A process that ends instead of refusing

  @contract-3.10.1 @contract-3.10/7
  Scenario: A dropped decryption key stops every newer requisition
    Given the quirk one-decryption-key-loaded is faithful
    And the quirk provider-dies-instead-of-refusing is faithful
    And mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force and drops the old one
    And mc1 creates a reach measurement called new with edp1
    When edp1 handles its requisitions
    Then edp1 leaves the event participant_ended by 3.10/7
    And edp1 neither fulfils nor refuses mc1.old
    And edp1 neither fulfils nor refuses mc1.new
    And mc1 sees its measurement new in state AWAITING_REQUISITION_FULFILLMENT

  @contract-3.10.1 @contract-3.10/7
  Scenario: As documented the dropped key costs one requisition, and the next is fulfilled
    Given mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force and drops the old one
    And mc1 creates a reach measurement called new with edp1
    When edp1 handles its requisitions
    Then edp1 refuses mc1.old with CONSENT_SIGNAL_INVALID by 3.10/7
    And edp1 fulfils mc1.new

  @contract-3.10/7
  Scenario: As documented a kept old key still opens old requisitions
    Given mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.old

  @contract-3.10/7
  Scenario: One loaded key does not open requisitions for the old one, though it was kept
    Given the quirk one-decryption-key-loaded is faithful
    And mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force
    When edp1 handles its requisitions
    Then edp1 refuses mc1.old with CONSENT_SIGNAL_INVALID by 3.10/7

  @contract-3.2.3 @contract-3.10/5
  Scenario: An unsupported OID ends the process
    Given the quirk unsupported-oid-is-not-a-bad-signature is faithful
    And the quirk provider-dies-instead-of-refusing is faithful
    And mc1 creates a reach measurement called m with edp1 that has an unsupported OID
    When edp1 handles its requisitions
    Then edp1 leaves the event participant_ended by 3.10/5
    And edp1 neither fulfils nor refuses mc1.m

  @contract-3.10/1
  Scenario: A certificate that cannot be fetched ends the process, which fulfils after its restart
    Given the quirk provider-dies-instead-of-refusing is faithful
    And mc1 creates a reach measurement called m with edp1
    And the next 1 call of GetCertificate fails with UNAVAILABLE
    When edp1 handles its requisitions
    Then edp1 leaves the event participant_ended by 3.10/1
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m

  @contract-3.4.1
  Scenario: A certificate of another owner's root passes where owners are not bound
    Given the quirk issuer-not-bound-to-owner is faithful
    And mc1 has a new certificate called own of edp2's root
    And mc1 registers its certificate own
    And mc1 signs with its certificate own
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.m

  @contract-3.4.1
  Scenario: As documented only the consumer's own root may have issued it
    Given mc1 has a new certificate called own of edp2's root
    And mc1 registers its certificate own
    And mc1 signs with its certificate own
    And mc1 creates a reach measurement called m with edp1
    When edp1 handles its requisitions
    Then edp1 refuses mc1.m with CONSENT_SIGNAL_INVALID by 3.10/3
