Feature: Rotating an encryption key
  One call replaces the key for everything to come; what was created before keeps the old one, so that its
  owner needs both until the old measurements are done.

  @contract-1.2.4 @contract-1.7.11
  Scenario: new requisitions show what the consumer encrypted to, old ones keep the old key
    Given mc1 has a direct reach measurement called before with edp1
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate certificate
    And mc1 has a direct reach measurement called after with edp1, where
      | measurement.data_providers[0].value.data_provider_public_key.data | "{edp1.fresh_keyset}" |
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.before_requisition}"
      """
    Then the response has data_provider_public_key.data: {edp1.keyset}
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.after_requisition}"
      """
    Then the response has data_provider_public_key.data: {edp1.fresh_keyset}

  @contract-1.5.14 @contract-1.2.4
  Scenario: a consumer that still encrypts to the old key is accepted by the Kingdom
    Given edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate certificate
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    And the response has data_providers[0].value.data_provider_public_key.data: {edp1.keyset}

  @contract-1.2.4
  Scenario: open requisitions can still be fulfilled after the key moved
    Given mc1 has a direct reach measurement called m with edp1
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate certificate
    When edp1 fulfils its requisition of mc1.m
    Then the call succeeds
    And mc1 sees its measurement m in state SUCCEEDED

  @contract-1.2.4 @contract-1.4.3
  Scenario: a consumer's new key leaves its event groups under the old one
    Given edp1 has an event group called g for mc1, where
      | event_group.measurement_consumer_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "{mc1.keyset}" } |
      | event_group.encrypted_metadata              | ciphertext: "secret" |
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    When mc1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}"
      """
    Then the response has public_key.message.data: {mc1.fresh_keyset}
    When mc1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has measurement_consumer_public_key.data: {mc1.keyset}

  @contract-1.2.3
  Scenario: a key that is published under a revoked certificate stops new measurements
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate second is revoked
    And edp1 has a new encryption key called fresh, signed with second
    When edp1 publishes its encryption key fresh with its certificate second
    Then the call succeeds
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
