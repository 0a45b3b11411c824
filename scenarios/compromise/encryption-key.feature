@compromise
Feature: An encryption key is stolen
  Nothing is revoked: the old key is dead when nothing is encrypted to it any more and nobody opens what was.

  @contract-3.10/7 @contract-1.2.4
  Scenario: a data provider's key: what was encrypted to the dropped key stays shut
    Given mc1 creates a reach measurement called before with edp1
    And edp1 handles its requisitions
    And the clock moves forward by 30 minutes
    And mc1 creates a reach measurement called old with edp1
    And edp1 puts a new encryption key in force and drops the old one
    And mc1 creates a reach measurement called new with edp1
    When edp1 handles its requisitions
    Then edp1's old encryption key is dead by 3.10/7: it did not open mc1.old, and opened mc1.new

  # The Kingdom neither prompts nor notifies (8.1.7), and compares no key (1.4.3).
  @contract-1.4.1 @contract-1.4.3
  Scenario: a consumer's key: who has not re-encrypted is named
    Given mc1 has a new encryption key called stolen
    And edp1 has an event group called g for mc1
    And edp2 has an event group called h for mc1
    And edp1 encrypts the metadata "news" of its event group g to mc1's key stolen
    And edp2 encrypts the metadata "sport" of its event group h to mc1's key stolen
    And mc1's encryption key stolen opens the metadata of edp1.g
    And mc1's encryption key stolen opens the metadata of edp2.h
    And the clock moves forward by 30 minutes
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    Then the event groups of mc1 that are not under its key fresh are edp1.g, edp2.h
    Given edp1 encrypts the metadata "news" of its event group g to mc1's key fresh
    Then the event groups of mc1 that are not under its key fresh are edp2.h
    Given edp2 encrypts the metadata "sport" of its event group h to mc1's key fresh
    Then the event groups of mc1 that are not under its key fresh are none
    And mc1's encryption key stolen is dead for the metadata of edp1.g, and its fresh is not
    And mc1's encryption key stolen is dead for the metadata of edp2.h, and its fresh is not

  # Old ciphertexts stay in the Kingdom: they are listed, and whoever stole the key may not read them.
  @contract-1.4.1 @contract-2.8
  Scenario: what a stolen key opens is listed, and access to it is restricted
    Given mc1 has a new encryption key called stolen
    And mc1 has published its encryption key stolen with its certificate certificate
    And edp1 has an event group called g for mc1
    And edp2 has an event group called h for mc1
    And edp1 encrypts the metadata "news" of its event group g to mc1's key stolen
    And edp2 encrypts the metadata "sport" of its event group h to mc1's key stolen
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    And edp1 encrypts the metadata "news" of its event group g to mc1's key fresh
    Then what mc1's encryption key stolen has touched is
      | event_group | encrypted_to | {edp2.h} |
    Given the clock moves forward by 30 minutes
    And mc1 gets a new root
    And the trust bundle includes mc1's new root
    And the principal map knows mc1's new root
    And mc1 presents a leaf of its new root
    And the trust bundle no longer includes mc1's root
    And the principal map no longer knows mc1's old root
    And all 2 replicas are restarted
    Then mc1's old leaf is dead, and its new one is not, at
      | the Kingdom | unknown_issuer |
    And the event groups of mc1 that are not under its key fresh are edp2.h

  # Specs are snapshots that nobody can change (8.2.3): cancel, and create again.
  @contract-1.5.14 @contract-3.13.5
  Scenario: a consumer's ongoing measurements are cancelled and created again under the new key
    Given mc1 creates a reach measurement called ongoing with edp1
    And mc1 puts a new encryption key in force and drops the old one
    When mc1 calls Measurements.CancelMeasurement with
      """
      name: "{mc1.ongoing}"
      """
    Then mc1 sees its measurement ongoing in state CANCELLED
    Given mc1 creates a reach measurement called again with edp1
    When edp1 handles its requisitions
    Then edp1 fulfils mc1.again
    And mc1 accepts the results of mc1.again

  # What the old key can still open is deleted by the operator, in one batch, each under its etag (8.1.8).
  @contract-1.8.2/BatchDeleteMeasurements @contract-1.8.3
  Scenario: the operator deletes what the old key can open, and nothing else
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    And mc1 has a direct reach measurement called kept with edp1, where
      | measurement.measurement_spec.message.measurement_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { format: TINK_KEYSET data: "{mc1.fresh_keyset}" } |
    Then what mc1's encryption key first has touched is
      | measurement | encrypted_to | {mc1.one} |
      | measurement | encrypted_to | {mc1.two} |
    When operator calls Measurements.BatchDeleteMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.one_number} etag: "{mc1.one_etag}" }
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.two_number} etag: "{mc1.two_etag}" }
      """
    And mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}"
      """
    Then the response lists measurements[*].name in any order
      | {mc1.kept} |
    When edp1 calls Requisitions.ListRequisitions with
      """
      parent: "{edp1}"
      """
    Then the response lists requisitions[*].name in any order
      | {edp1.kept_requisition} |
    And nothing that mc1's encryption key first has touched is open

  # The consumer replaces its key, the provider encrypts anew, what is open is created again under the new
  # key, and what the old one opens is deleted.
  @contract-1.4.3 @contract-8.2.3 @contract-1.8.2
  Scenario: a consumer's stolen key is repaired by all whom it concerns, and nothing of it is left
    Given edp1 has an event group called g for mc1 with the metadata of "news"
    And mc1's encryption key first opens the metadata of edp1.g
    And mc1 creates a reach measurement called done with edp1
    And edp1 handles its requisitions
    And mc1 creates a reach measurement called open with edp1
    When the repair plan of mc1's encryption key first is carried out
    And edp1 handles the new requisitions
    Then nothing that mc1's encryption key first has touched is open
    And mc1 accepts the results of all that the repair created anew
    And the measurements of mc1 are exactly
      | mc1.open       | CANCELLED |
      | mc1.open_again | SUCCEEDED |
    And mc1's encryption key first is dead for the metadata of edp1.g, and its repaired is not
