Feature: Creating a measurement: what the Kingdom checks before it stores anything

  @contract-1.5.1/CreateMeasurement
  Scenario: the consumer creates under its own name only
    When edp1 calls Measurements.CreateMeasurement with
      """
      parent: "{mc1}"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

  @contract-1.0.6 @contract-1.5.1/CreateMeasurement
  Scenario Outline: principal, parent, ownership, the rest
    Given <given>
    When <actor> calls Measurements.CreateMeasurement with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                         | given                                     | actor | request                                | code              |
      | principal-before-parent      | edp1 presents a "akid-absent" certificate | edp1  | parent: "nonsense"                     | UNAUTHENTICATED   |
      | parent-before-ownership      | a running Kingdom                         | edp1  | parent: "nonsense"                     | INVALID_ARGUMENT  |
      | ownership-whatever-the-kind  | a running Kingdom                         | edp1  | parent: "{mc1}"                        | PERMISSION_DENIED |
      | ownership-before-the-fields  | a running Kingdom                         | mc1   | parent: "measurementConsumers/AAAAAAAAAZQ" | PERMISSION_DENIED |
      | fields-last                  | a running Kingdom                         | mc1   | parent: "{mc1}"                        | INVALID_ARGUMENT  |

  @contract-1.5.9
  Scenario Outline: what the public checks refuse
    When mc1 creates a reach measurement with edp1, where
      | <path> | <value> |
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case                            | path                                                          | value                                      | code             |
      | no-data-providers               | measurement.data_providers                                    | unset                                      | INVALID_ARGUMENT |
      | provider-name-shape             | measurement.data_providers[0].key                             | "nonsense"                                 | INVALID_ARGUMENT |
      | provider-id-does-not-decode     | measurement.data_providers[0].key                             | "dataProviders/nonsense"                   | UNKNOWN          |
      | provider-does-not-exist         | measurement.data_providers[0].key                             | "dataProviders/AAAAAAAAAZQ"                | NOT_FOUND        |
      | certificate-shape               | measurement.measurement_consumer_certificate                  | "nonsense"                                 | INVALID_ARGUMENT |
      | certificate-of-another-parent   | measurement.measurement_consumer_certificate                  | "measurementConsumers/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ" | INVALID_ARGUMENT |
      | certificate-id-does-not-decode  | measurement.measurement_consumer_certificate                  | "{mc1}/certificates/nonsense"              | UNKNOWN          |
      | no-spec                         | measurement.measurement_spec                                  | unset                                      | INVALID_ARGUMENT |
      | spec-of-another-type            | measurement.measurement_spec.message                          | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey] { } | INVALID_ARGUMENT |
      | no-measurement-public-key       | measurement.measurement_spec.message.measurement_public_key   | unset                                      | INVALID_ARGUMENT |
      | measurement-key-of-another-type | measurement.measurement_spec.message.measurement_public_key   | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey] { } | INVALID_ARGUMENT |
      | nonce-hashes-repeated           | measurement.measurement_spec.message.nonce_hashes             | ["a", "a"]                                 | INVALID_ARGUMENT |
      | too-few-nonce-hashes            | measurement.measurement_spec.message.nonce_hashes             | unset                                      | INVALID_ARGUMENT |
      | too-many-nonce-hashes           | measurement.measurement_spec.message.nonce_hashes             | ["a", "b"]                                 | INVALID_ARGUMENT |
      | no-measurement-type             | measurement.measurement_spec.message.reach                    | unset                                      | INVALID_ARGUMENT |
      | entry-certificate-shape         | measurement.data_providers[0].value.data_provider_certificate | "{mc1.certificate}"                        | INVALID_ARGUMENT |
      | entry-certificate-id            | measurement.data_providers[0].value.data_provider_certificate | "{edp1}/certificates/nonsense"             | UNKNOWN          |
      | entry-key-of-another-type       | measurement.data_providers[0].value.data_provider_public_key  | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey] { } | INVALID_ARGUMENT |
      | no-requisition-spec             | measurement.data_providers[0].value.encrypted_requisition_spec | unset                                     | INVALID_ARGUMENT |
      | requisition-spec-type-url       | measurement.data_providers[0].value.encrypted_requisition_spec.type_url | "example.com/wfa.measurement.api.v2alpha.SignedMessage" | INVALID_ARGUMENT |
      | no-nonce-hash                   | measurement.data_providers[0].value.nonce_hash                | unset                                      | INVALID_ARGUMENT |

  @contract-1.0.12/inner-look-up
  Scenario: a provider that does not exist is not found, without ErrorInfo
    When mc1 creates a reach measurement with edp1, where
      | measurement.data_providers[0].key | "dataProviders/AAAAAAAAAZQ" |
    Then the call fails with NOT_FOUND
    And the error has no ErrorInfo

  @contract-1.5.9
  Scenario: two entries for one provider are refused
    When mc1 creates a reach measurement with edp1 and edp2, where
      | measurement.data_providers[1].key | "{edp1}" |
    Then the call fails with INVALID_ARGUMENT

  @contract-1.5.9
  Scenario Outline: what the data server refuses has no description
    When mc1 creates a reach measurement with edp1, where
      | <path> | <value> |
    Then the call fails with INVALID_ARGUMENT
    And the error has no description

    Examples:
      | case                  | path                                                                      | value |
      | no-signature          | measurement.measurement_spec.signature                                    | unset |
      | empty-entry-key       | measurement.data_providers[0].value.data_provider_public_key.value        | ""    |
      | empty-ciphertext      | measurement.data_providers[0].value.encrypted_requisition_spec.ciphertext | ""    |

  @contract-1.5.9
  Scenario Outline: an earlier check decides over a later one
    When mc1 creates a reach measurement with edp1, where
      | <first>  | <first value>  |
      | <second> | <second value> |
    Then the call fails with <code>

    Examples:
      | case                               | first                                        | first value                   | second                                                        | second value                   | code             |
      | provider-id-before-certificate     | measurement.data_providers[0].key            | "dataProviders/nonsense"      | measurement.measurement_consumer_certificate                  | "nonsense"                     | UNKNOWN          |
      | existence-before-certificate       | measurement.data_providers[0].key            | "dataProviders/AAAAAAAAAZQ"   | measurement.measurement_consumer_certificate                  | "nonsense"                     | NOT_FOUND        |
      | spec-before-entry-id               | measurement.measurement_spec                 | unset                         | measurement.data_providers[0].value.data_provider_certificate | "{edp1}/certificates/nonsense" | INVALID_ARGUMENT |
      | nonce-hash-before-entry-id         | measurement.data_providers[0].value.nonce_hash | unset                       | measurement.data_providers[0].value.data_provider_certificate | "{edp1}/certificates/nonsense" | INVALID_ARGUMENT |
      | entry-id-before-number-of-hashes   | measurement.data_providers[0].value.data_provider_certificate | "{edp1}/certificates/nonsense" | measurement.measurement_spec.message.nonce_hashes | unset                     | UNKNOWN          |
      | number-of-hashes-before-consumer-id | measurement.measurement_spec.message.nonce_hashes | unset                    | measurement.measurement_consumer_certificate                  | "{mc1}/certificates/nonsense"  | INVALID_ARGUMENT |

  @contract-1.5.9 @contract-1.0.16
  Scenario: a spec in the deprecated field alone passes the public checks and fails at the data server
    Given spec is the message wfa.measurement.api.v2alpha.MeasurementSpec with
      """
      measurement_public_key { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "k" } }
      vid_sampling_interval { width: 1.0 } nonce_hashes: "h" reach { privacy_params { epsilon: 0.1 } }
      """
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_spec.message | unset    |
      | measurement.measurement_spec.data    | "{spec}" |
    Then the call fails with INVALID_ARGUMENT
    And the error has no description

  @contract-1.0.16
  Scenario Outline: of a type URL only what follows the last slash counts
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_spec.message.measurement_public_key | type_url: "<type url>" value: "\\010\\001\\022\\001k" |
    Then the call <outcome>

    Examples:
      | case | type url                                                          | outcome                     |
      | usual | type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey | succeeds                  |
      | foreign | any.example/deep/wfa.measurement.api.v2alpha.EncryptionPublicKey  | succeeds                    |
      | empty | /wfa.measurement.api.v2alpha.EncryptionPublicKey                  | succeeds                    |
      | no-slash | wfa.measurement.api.v2alpha.EncryptionPublicKey                   | fails with INVALID_ARGUMENT |
      | other | type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey     | fails with INVALID_ARGUMENT |

  @contract-1.0.16
  Scenario: bytes that are no such message are refused
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_spec.message.measurement_public_key | type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey" value: "\\377" |
    Then the call fails with INVALID_ARGUMENT

  @contract-1.0.16
  Scenario: reads show the usual prefix, whatever was sent
    Given mc1 has a direct reach measurement called m with edp1, where
      | measurement.data_providers[0].value.data_provider_public_key | type_url: "any.example/wfa.measurement.api.v2alpha.EncryptionPublicKey" value: "\\010\\001\\022\\001k" |
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response field data_providers[0].value.data_provider_public_key.type_url is "type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey"

  @contract-1.5.10
  Scenario Outline: what each type refuses
    When mc1 creates a <type> measurement with edp1, where
      | measurement.measurement_spec.message.<path> | <value> |
    Then the call fails with INVALID_ARGUMENT

    Examples:
      | case                      | type                | path                                                | value                     |
      | reach-epsilon-zero        | reach               | reach.privacy_params.epsilon                        | 0.0                       |
      | reach-delta-negative      | reach               | reach.privacy_params.delta                          | -0.1                      |
      | reach-no-params           | reach               | reach.privacy_params                                | unset                     |
      | reach-width-zero          | reach               | vid_sampling_interval.width                         | 0.0                       |
      | reach-width-above-one     | reach               | vid_sampling_interval.width                         | 1.5                       |
      | frequency-reach-epsilon   | reach and frequency | reach_and_frequency.reach_privacy_params.epsilon    | 0.0                       |
      | frequency-epsilon         | reach and frequency | reach_and_frequency.frequency_privacy_params.epsilon | 0.0                      |
      | frequency-maximum-one     | reach and frequency | reach_and_frequency.maximum_frequency               | 1                         |
      | frequency-width-zero      | reach and frequency | vid_sampling_interval.width                         | 0.0                       |
      | frequency-start           | reach and frequency | vid_sampling_interval                               | start: 1.1 width: 0.5     |
      | impression-epsilon        | impression          | impression.privacy_params.epsilon                   | 0.0                       |
      | impression-maximum-zero   | impression          | impression.maximum_frequency_per_user               | 0                         |
      | duration-epsilon          | duration            | duration.privacy_params.epsilon                     | 0.0                       |
      | duration-no-maximum       | duration            | duration.maximum_watch_duration_per_user            | unset                     |
      | population-no-model-line  | population          | model_line                                          | ""                        |
      | reach-interval-past-one   | reach               | vid_sampling_interval                               | start: 0.6 width: 0.5     |
      | impression-past-one       | impression          | vid_sampling_interval                               | start: 0.6 width: 0.5     |

  @contract-1.5.10
  Scenario Outline: bounds that hold
    When mc1 creates a <type> measurement with edp1, where
      | measurement.measurement_spec.message.vid_sampling_interval | start: 0.5 width: 0.5 |
    Then the call succeeds

    Examples:
      | type                |
      | reach               |
      | reach and frequency |
      | impression          |
      | duration            |
      | population          |

  @contract-1.5.10
  Scenario Outline: an interval may wrap past 1 only for HMSS and TrusTEE
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    When mc1 creates a reach measurement with edp1 and edp2, where
      | measurement.measurement_spec.message.vid_sampling_interval | start: 0.9 width: 0.5 |
    Then the call <outcome>

    Examples:
      | protocol | outcome                     |
      | LLv2     | fails with INVALID_ARGUMENT |
      | RO-LLv2  | fails with INVALID_ARGUMENT |
      | HMSS     | succeeds                    |
      | TrusTEE  | succeeds                    |

  @contract-1.5.10
  Scenario Outline: a start outside its range, for reach
    Given the quirk reach-sampling-start-is-unknown is <setting>
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_spec.message.vid_sampling_interval | start: <start> width: 0.5 |
    Then the call fails with <code>

    Examples:
      | case               | setting       | start | code             |
      | faithful-above     | faithful      | 1.1   | UNKNOWN          |
      | faithful-below     | faithful      | -0.1  | UNKNOWN          |
      | as-documented      | as-documented | 1.1   | INVALID_ARGUMENT |

  @contract-1.5.14
  Scenario Outline: what the Kingdom does not check
    When mc1 creates a reach measurement with edp1, where
      | <path> | <value> |
    Then the call succeeds
    And the response has state: AWAITING_REQUISITION_FULFILLMENT

    Examples:
      | case                            | path                                                          | value                                    |
      | signature-of-the-spec           | measurement.measurement_spec.signature                        | "no signature at all"                    |
      | unknown-signature-algorithm     | measurement.measurement_spec.signature_algorithm_oid          | "1.2.3"                                  |
      | no-signature-algorithm          | measurement.measurement_spec.signature_algorithm_oid          | unset                                    |
      | nonce-hash-not-listed           | measurement.measurement_spec.message.nonce_hashes             | ["another hash"]                         |
      | key-that-is-not-the-providers   | measurement.data_providers[0].value.data_provider_public_key.data | "another key"                        |
      | ciphertext                      | measurement.data_providers[0].value.encrypted_requisition_spec.ciphertext | "no ciphertext"              |

    @contract-1.6.2
    Examples:
      | case                            | path                                                          | value                                    |
      | certificate-that-is-not-there   | measurement.data_providers[0].value.data_provider_certificate | "{edp1}/certificates/AAAAAAAAAZQ"        |
